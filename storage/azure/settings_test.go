package azure

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// environment sets what the driver reads and keeps that of whoever runs the
// tests out of them.
func environment(t *testing.T, set map[string]string) {
	for _, name := range []string{envAccount, envKey, envSAS, envConnection} {
		t.Setenv(name, set[name])
	}
}

func config(t *testing.T, query, key, secret, token string) storage.Config {
	params, err := url.ParseQuery(query)
	require.NoError(t, err)
	return storage.Config{
		Scheme: "azblob", Bucket: "pond", Params: params,
		Key: storage.NewSecret(key), Secret: storage.NewSecret(secret), Token: storage.NewSecret(token),
	}
}

func TestBadConfig(t *testing.T) {
	cases := map[string]struct {
		query, key, secret, token string
		env                       map[string]string
		want                      string
	}{
		"unknown parameter":          {query: "domain=hunter2", want: `unknown parameter "domain" (allowed: account, anonymous, endpoint)`},
		"given twice":                {query: "account=a&account=b", want: `"account" is given 2 times`},
		"no boolean":                 {query: "account=a&anonymous=hunter2", want: `"anonymous" is neither true nor false`},
		"no account":                 {want: `set parameter "account" or AZURE_STORAGE_ACCOUNT`},
		"account with slash":         {query: "account=hunter2/", want: `"account" is none`},
		"key alone":                  {key: "hunter2", want: "are given together"},
		"secret alone":               {query: "account=a", secret: "hunter2", want: "are given together"},
		"token alone":                {query: "account=a", token: "hunter2", want: "are given together"},
		"secret and token":           {key: "a", secret: "hunter2", token: "hunter2", want: "exclude each other"},
		"secret that is no base64":   {key: "a", secret: "hunter2!", want: "account key is not base64"},
		"anonymous with secret":      {query: "anonymous=true", key: "a", secret: "hunter2", want: `"anonymous" excludes`},
		"two accounts":               {query: "account=b", key: "a", secret: "hunter2", want: "two accounts"},
		"endpoint without scheme":    {query: "endpoint=hunter2", want: `"endpoint" is not an http or https URL`},
		"endpoint with query":        {query: "endpoint=https://host%3Fsig=hunter2", want: `"endpoint" has more than`},
		"SAS of the environment":     {query: "endpoint=https://host", env: map[string]string{envSAS: "sig=hunter2"}, want: envSAS},
		"connection and endpoint":    {query: "endpoint=https://host", env: map[string]string{envConnection: "hunter2"}, want: envConnection},
		"connection that is no such": {env: map[string]string{envConnection: "hunter2"}, want: envConnection + " cannot be used"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			environment(t, c.env)
			_, err := Driver().Open(t.Context(), config(t, c.query, c.key, c.secret, c.token))
			require.ErrorIs(t, err, storage.ErrInvalidConfig)
			assert.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
	t.Run("no container", func(t *testing.T) {
		_, err := Driver().Open(t.Context(), storage.Config{Scheme: "azblob"})
		require.ErrorIs(t, err, storage.ErrInvalidConfig)
	})
	t.Run("prefix that Azure renames", func(t *testing.T) {
		c := config(t, "account=a&anonymous=true", "", "", "")
		c.Prefix = "100%"
		_, err := Driver().Open(t.Context(), c)
		require.ErrorIs(t, err, storage.ErrInvalidConfig)
	})
}

func TestWhereAndWho(t *testing.T) {
	connection := "DefaultEndpointsProtocol=https;AccountName=c;AccountKey=" + devKey + ";EndpointSuffix=core.windows.net"
	cases := map[string]struct {
		query, key, secret, token string
		env                       map[string]string
		want                      settings
		url                       string
	}{
		"key and secret": {key: "a", secret: devKey,
			want: settings{account: "a", key: devKey, endpoint: "https://a.blob.core.windows.net"}, url: "https://a.blob.core.windows.net/pond"},
		"key and token": {key: "a", token: "sig=x",
			want: settings{account: "a", sas: "sig=x", endpoint: "https://a.blob.core.windows.net"}, url: "https://a.blob.core.windows.net/pond?sig=x"},
		"key and token elsewhere": {query: "endpoint=https://host", key: "a", token: "?sig=x",
			want: settings{account: "a", sas: "?sig=x", endpoint: "https://host"}, url: "https://host/pond?sig=x"},
		"config beats environment": {key: "a", secret: devKey, env: map[string]string{envAccount: "b", envKey: "b", envSAS: "b"},
			want: settings{account: "a", key: devKey, endpoint: "https://a.blob.core.windows.net"}, url: "https://a.blob.core.windows.net/pond"},
		"emulator": {query: "endpoint=http://127.0.0.1:10000/devstoreaccount1", key: devAccount, secret: devKey,
			want: settings{account: devAccount, key: devKey, endpoint: "http://127.0.0.1:10000/devstoreaccount1"}, url: "http://127.0.0.1:10000/devstoreaccount1/pond"},
		"key of the environment": {env: map[string]string{envAccount: "e", envKey: devKey},
			want: settings{account: "e", key: devKey, endpoint: "https://e.blob.core.windows.net"}, url: "https://e.blob.core.windows.net/pond"},
		"SAS of the environment": {query: "account=a", env: map[string]string{envSAS: "sig=x"},
			want: settings{account: "a", sas: "sig=x", endpoint: "https://a.blob.core.windows.net"}, url: "https://a.blob.core.windows.net/pond?sig=x"},
		"connection string": {env: map[string]string{envConnection: connection},
			want: settings{connection: connection}, url: "https://c.blob.core.windows.net/pond"},
		"anonymous": {query: "account=a&anonymous=true", env: map[string]string{envSAS: "sig=x"},
			want: settings{account: "a", anonymous: true, endpoint: "https://a.blob.core.windows.net"}, url: "https://a.blob.core.windows.net/pond"},
		"default chain": {query: "account=a",
			want: settings{account: "a", endpoint: "https://a.blob.core.windows.net"}, url: "https://a.blob.core.windows.net/pond"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			environment(t, c.env)
			got, err := parseParams(config(t, c.query, c.key, c.secret, c.token))
			require.NoError(t, err)
			assert.Equal(t, c.want, got)
			client, err := got.newClient("pond", time.Minute)
			require.NoError(t, err)
			assert.Equal(t, c.url, client.URL())
		})
	}
}
