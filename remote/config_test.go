package remote_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
)

const sourceDesign = `# init.yaml
remote:
  storage_type: s3      # or "local"
  bucket: my-pond-backups
  region: us-west-2
  key: ${env:SLUICE_TEST_KEY}
  secret: ${env:SLUICE_TEST_SECRET}
  endpoint: https://s3.amazonaws.com
  mode: init            # "push", "init", or "pull"
  source_pond_id: "uuid-of-source-pond"
  config_path: /etc/system.d/10-remote
  sync_interval: 60
  auto_switch_to_pull: true
  compression_level: 3
`

func TestConfigOfTheSourceDesign(t *testing.T) {
	t.Setenv("SLUICE_TEST_KEY", "the-key")
	t.Setenv("SLUICE_TEST_SECRET", "the-secret")
	c, err := remote.ParseConfig([]byte(sourceDesign))
	require.NoError(t, err)
	require.Equal(t, remote.ModeInit, c.Mode)
	require.Equal(t, time.Minute, c.SyncInterval)
	require.True(t, c.SwitchToPull)
	require.Equal(t, "uuid-of-source-pond", c.Options().SourceID)
	s, err := c.Storage()
	require.NoError(t, err)
	require.Equal(t, "the-key", s.Key.Reveal())
	require.Equal(t, "the-secret", s.Secret.Reveal())
	require.Equal(t, "us-west-2", s.Params.Get("region"))
	for _, shown := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", s), s.String()} {
		require.NotContains(t, shown, "the-secret")
	}

	pull, err := c.WithMode(remote.ModePull)
	require.NoError(t, err)
	require.Contains(t, string(pull), `mode: pull            # "push"`)
	require.Contains(t, string(pull), "${env:SLUICE_TEST_SECRET}")
	require.NotContains(t, string(pull), "the-secret")
}

func TestConfigHidesLiteralSecrets(t *testing.T) {
	c, err := remote.ParseConfig([]byte("storage_type: s3\nbucket: b\nkey: open-sesame\nsecret: hush-hush\n"))
	require.NoError(t, err)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{c, *c} {
			require.NotContains(t, fmt.Sprintf(format, v), "hush")
			require.NotContains(t, fmt.Sprintf(format, v), "sesame")
		}
	}
}

func TestConfigWithoutModeGetsOne(t *testing.T) {
	for _, text := range []string{"storage_type: local\npath: /backups\n", "remote:\n  storage_type: local\n  path: /backups\n"} {
		c, err := remote.ParseConfig([]byte(text))
		require.NoError(t, err)
		require.Equal(t, remote.ModePush, c.Mode)
		_, err = c.WithMode(remote.ModePull)
		require.NoError(t, err)
	}
}

// A level that is not given is the default, and 0 is not that: it stores.
func TestConfigLevel(t *testing.T) {
	for text, want := range map[string]*int{"": nil, "compression_level: 0\n": new(0), "compression_level: 22\n": new(22)} {
		c, err := remote.ParseConfig([]byte("storage_type: mem\n" + text))
		require.NoError(t, err)
		require.Equal(t, want, c.Options().CompressionLevel, text)
	}
}

func TestConfigRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want error
		says string
	}{
		"empty":                            {"", remote.ErrInvalidConfig, "empty"},
		"unknown key":                      {"storage_type: mem\nbuckte: x\n", remote.ErrInvalidConfig, "line 2"},
		"ill-typed":                        {"storage_type: mem\nsync_interval: soon\n", remote.ErrInvalidConfig, "line 2"},
		"twice":                            {"storage_type: mem\nstorage_type: mem\n", remote.ErrInvalidConfig, "storage_type"},
		"two documents":                    {"storage_type: mem\n---\nmode: pull\n", remote.ErrInvalidConfig, "document"},
		"mode":                             {"storage_type: mem\nmode: sideways\n", remote.ErrInvalidConfig, "push, init and pull"},
		"no place":                         {"mode: push\n", remote.ErrInvalidConfig, "storage_type or url"},
		"unknown type":                     {"storage_type: tape\n", remote.ErrInvalidConfig, "s3, gs, azblob"},
		"no bucket":                        {"storage_type: s3\n", remote.ErrInvalidConfig, "needs bucket"},
		"no path":                          {"storage_type: local\n", remote.ErrInvalidConfig, "needs path"},
		"url and bucket":                   {"url: s3://b\nbucket: b\n", remote.ErrInvalidConfig, "url stands instead"},
		"level":                            {"storage_type: mem\ncompression_level: 23\n", remote.ErrInvalidConfig, "0 (store) to 22"},
		"negative level":                   {"storage_type: mem\ncompression_level: -1\n", remote.ErrInvalidConfig, "0 (store) to 22"},
		"interval":                         {"storage_type: mem\nsync_interval: 0\n", remote.ErrInvalidConfig, "at least 1"},
		"a replica of what":                {"storage_type: mem\nreplicas: [x]\n", remote.ErrInvalidConfig, "line 2"},
		"a replica nowhere":                {"storage_type: mem\nreplicas:\n- storage_type: s3\n", remote.ErrInvalidConfig, "replicas, number 1: "},
		"a replica with more than a place": {"storage_type: mem\nreplicas:\n- storage_type: mem\n  mode: push\n", remote.ErrInvalidConfig, "mode"},
		"replicas to pull from":            {"storage_type: mem\nmode: pull\nreplicas:\n- storage_type: mem\n", remote.ErrInvalidConfig, "replicas"},
		"selected paths":                   {"storage_type: mem\ninclude_paths: [x]\n", remote.ErrUnsupported, "include_paths"},
		"key with a folder":                {"storage_type: local\npath: /x\nkey: k\n", remote.ErrInvalidConfig, "takes no"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := remote.ParseConfig([]byte(c.text))
			require.ErrorIs(t, err, c.want)
			require.Contains(t, err.Error(), c.says)
		})
	}
	c, err := remote.ParseConfig([]byte("storage_type: s3\nbucket: ${env:SLUICE_TEST_UNSET}\n"))
	require.NoError(t, err)
	_, err = c.Storage()
	require.ErrorIs(t, err, remote.ErrInvalidConfig)
	require.Contains(t, err.Error(), "SLUICE_TEST_UNSET")
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(sourceDesign))
	f.Add([]byte("url: s3://b/p\nmode: pull\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := remote.ParseConfig(text)
		if err != nil {
			return
		}
		require.NotNil(t, c.Mode)
		if pull, err := c.WithMode(remote.ModePull); err == nil {
			again, err := remote.ParseConfig(pull)
			require.NoError(t, err)
			require.Equal(t, remote.ModePull, again.Mode)
		}
	})
}

func TestConfigOfSeveralStores(t *testing.T) {
	t.Setenv("SLUICE_TEST_SECRET", "the-secret")
	c, err := remote.ParseConfig([]byte("remote:\n  storage_type: local\n  path: /backups\n  replicas:\n  - storage_type: s3\n    bucket: far\n    prefix: pond/\n    key: k\n    secret: ${env:SLUICE_TEST_SECRET}\n  - url: gs://other/pond\n"))
	require.NoError(t, err)
	require.Len(t, c.Replicas, 2)
	far, err := c.Replicas[0].Storage()
	require.NoError(t, err)
	require.Equal(t, "the-secret", far.Secret.Reveal())
	require.Equal(t, "far", far.Bucket)
	require.Equal(t, "pond", far.Prefix)
	other, err := c.Replicas[1].Storage()
	require.NoError(t, err)
	require.Equal(t, "gs", other.Scheme)
	require.NotContains(t, fmt.Sprintf("%+v", c.Replicas[0]), "the-secret")
}
