package s3

import (
	"net/url"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// away keeps the configuration of whoever runs the tests out of them.
func away(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REQUEST_CHECKSUM_CALCULATION"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
}

func TestBadConfig(t *testing.T) {
	away(t)
	secret := storage.NewSecret("hunter2")
	cases := map[string]struct {
		config storage.Config
		query  string
		want   string
	}{
		"unknown parameter":       {query: "regoin=hunter2", want: `unknown parameter "regoin" (allowed: accelerate, anonymous, checksums, dualstack, endpoint, fips, kmskeyid, profile, region, ssetype, use_path_style)`},
		"given twice":             {query: "region=hunter2&region=b", want: `"region" is given 2 times`},
		"empty":                   {query: "region=", want: `"region" is empty`},
		"no boolean":              {query: "region=a&use_path_style=hunter2", want: `"use_path_style" is neither true nor false`},
		"no boolean, not pointer": {query: "region=a&fips=hunter2", want: `"fips" is neither true nor false`},
		"unknown encryption":      {query: "region=a&ssetype=hunter2", want: `"ssetype" is none of [AES256 aws:kms aws:kms:dsse]`},
		"key without its type":    {query: "region=a&kmskeyid=hunter2", want: `"kmskeyid" needs "ssetype"`},
		"key for another type":    {query: "region=a&kmskeyid=hunter2&ssetype=AES256", want: `"kmskeyid" needs "ssetype"`},
		"endpoint without scheme": {query: "endpoint=hunter2:9000", want: `"endpoint" is not an http or https URL`},
		"endpoint with user":      {query: "endpoint=http://hunter2@host", want: `"endpoint" has more than`},
		"endpoint with query":     {query: "endpoint=http://host%3Fx=hunter2", want: `"endpoint" has more than`},
		"endpoint and AWS's":      {query: "endpoint=http://host&fips=true", want: `exclude "endpoint"`},
		"no region":               {want: `set parameter "region" or AWS_REGION`},
		"key alone":               {query: "region=a", config: storage.Config{Key: secret}, want: "key and secret are given together"},
		"secret alone":            {query: "region=a", config: storage.Config{Secret: secret}, want: "key and secret are given together"},
		"token alone":             {query: "region=a", config: storage.Config{Token: secret}, want: "a token needs key and secret"},
		"anonymous with key":      {query: "region=a&anonymous=true", config: storage.Config{Key: secret, Secret: secret}, want: `"anonymous" excludes key and secret`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.config.Scheme, c.config.Bucket = "s3", "pond"
			var err error
			c.config.Params, err = url.ParseQuery(c.query)
			require.NoError(t, err)
			_, err = Driver().Open(t.Context(), c.config)
			require.ErrorIs(t, err, storage.ErrInvalidConfig)
			assert.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
	t.Run("no bucket", func(t *testing.T) {
		_, err := Driver().Open(t.Context(), storage.Config{Scheme: "s3"})
		require.ErrorIs(t, err, storage.ErrInvalidConfig)
	})
}

func TestClientOptions(t *testing.T) {
	cases := map[string]struct {
		query, envEndpoint, envRegion, envChecksums string
		check                                       func(*testing.T, awss3.Options)
		checksums                                   bool
	}{
		"AWS": {query: "region=eu-west-1", checksums: true, check: func(t *testing.T, o awss3.Options) {
			assert.Equal(t, "eu-west-1", o.Region)
			assert.False(t, o.UsePathStyle)
			assert.Nil(t, o.BaseEndpoint)
		}},
		"region of the environment": {envRegion: "eu-west-2", checksums: true, check: func(t *testing.T, o awss3.Options) {
			assert.Equal(t, "eu-west-2", o.Region)
		}},
		"own service": {query: "endpoint=http://127.0.0.1:9", checksums: true, check: func(t *testing.T, o awss3.Options) {
			assert.Equal(t, "http://127.0.0.1:9", *o.BaseEndpoint)
			assert.Equal(t, endpointRegion, o.Region)
			assert.True(t, o.UsePathStyle)
		}},
		"own service of the environment": {envEndpoint: "http://127.0.0.1:9", checksums: true, check: func(t *testing.T, o awss3.Options) {
			assert.True(t, o.UsePathStyle)
		}},
		"own service with host names": {query: "endpoint=http://127.0.0.1:9&use_path_style=false&region=r", checksums: true, check: func(t *testing.T, o awss3.Options) {
			assert.False(t, o.UsePathStyle)
			assert.Equal(t, "r", o.Region)
		}},
		"endpoint of AWS": {query: "endpoint=https://s3.eu-west-1.amazonaws.com&region=eu-west-1", checksums: true, check: func(t *testing.T, o awss3.Options) {
			assert.False(t, o.UsePathStyle)
		}},
		"no checksums":                    {query: "region=a&checksums=false"},
		"no checksums by the environment": {query: "region=a", envChecksums: "when_required"},
		"parameter beats the environment": {query: "region=a&checksums=true", envChecksums: "when_required", checksums: true},
		"kinds of AWS endpoints": {query: "region=a&accelerate=true&dualstack=true&fips=true", checksums: true, check: func(t *testing.T, o awss3.Options) {
			assert.True(t, o.UseAccelerate)
			assert.NotZero(t, o.EndpointOptions.UseDualStackEndpoint)
			assert.NotZero(t, o.EndpointOptions.UseFIPSEndpoint)
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			away(t)
			for name, v := range map[string]string{"AWS_ENDPOINT_URL_S3": c.envEndpoint, "AWS_REGION": c.envRegion, "AWS_REQUEST_CHECKSUM_CALCULATION": c.envChecksums} {
				if v != "" {
					t.Setenv(name, v)
				}
			}
			config, err := storage.ParseURL(strings.TrimSuffix("s3://pond/p?"+c.query, "?"))
			require.NoError(t, err)
			s, err := Driver().Open(t.Context(), config)
			require.NoError(t, err)
			assert.Equal(t, c.checksums, s.(*store).checksums)
			if c.check != nil {
				c.check(t, s.(*store).client.Options())
			}
		})
	}
}
