package gcs

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

func TestBadConfig(t *testing.T) {
	cases := map[string]struct {
		query            string
		key, token, json string
		want             string
	}{
		"unknown parameter":       {query: "project=hunter2", want: `unknown parameter "project" (allowed: anonymous, endpoint)`},
		"given twice":             {query: "anonymous=true&anonymous=true", want: `"anonymous" is given 2 times`},
		"no boolean":              {query: "anonymous=hunter2", want: `"anonymous" is neither true nor false`},
		"endpoint without scheme": {query: "endpoint=hunter2", want: `"endpoint" is not an http or https URL`},
		"endpoint with path":      {query: "endpoint=https://host/hunter2", want: `"endpoint" has more than`},
		"endpoint in the clear":   {query: "endpoint=http://hunter2", want: `"endpoint" must be https, or "anonymous" true`},
		"key":                     {key: "hunter2", want: "key and token are not used"},
		"token":                   {token: "hunter2", want: "key and token are not used"},
		"anonymous with secret":   {query: "anonymous=true", json: "hunter2", want: `"anonymous" excludes a secret`},
		"secret that is no JSON":  {json: "hunter2", want: "secret is not the JSON of credentials"},
		"credentials from a URL":  {json: `{"type":"external_account","credential_source":{"url":"http://hunter2"}}`, want: "GOOGLE_APPLICATION_CREDENTIALS"},
		"credentials of no type":  {json: `{"private_key":"hunter2"}`, want: "GOOGLE_APPLICATION_CREDENTIALS"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			params, err := url.ParseQuery(c.query)
			require.NoError(t, err)
			_, err = Driver().Open(t.Context(), storage.Config{Scheme: "gs", Bucket: "pond", Params: params,
				Key: storage.NewSecret(c.key), Token: storage.NewSecret(c.token), Secret: storage.NewSecret(c.json)})
			require.ErrorIs(t, err, storage.ErrInvalidConfig)
			assert.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
	t.Run("no bucket", func(t *testing.T) {
		_, err := Driver().Open(t.Context(), storage.Config{Scheme: "gs"})
		require.ErrorIs(t, err, storage.ErrInvalidConfig)
	})
}

func TestCredentials(t *testing.T) {
	t.Setenv("STORAGE_EMULATOR_HOST", "")
	// A key that can be parsed but signs nothing: opening needs no network.
	secret := storage.NewSecret(`{"type":"authorized_user","client_id":"id","client_secret":"hunter2","refresh_token":"hunter2"}`)
	_, err := Driver().Open(t.Context(), storage.Config{Scheme: "gs", Bucket: "pond", Secret: secret})
	require.NoError(t, err)
}

func TestEmulatorOfTheEnvironment(t *testing.T) {
	_, endpoint := newService(t)
	t.Setenv("STORAGE_EMULATOR_HOST", endpoint)
	s, err := storage.Open(t.Context(), "gs://pond/p", Driver())
	require.NoError(t, err)
	require.NoError(t, create(t.Context(), s, "k", "content"))
	require.ErrorIs(t, create(t.Context(), s, "k", "content"), storage.ErrExists)
}
