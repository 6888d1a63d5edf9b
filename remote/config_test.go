package remote_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
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
		"unknown key":                      {"storage_type: mem\nbuckte: x\n", remote.ErrInvalidConfig, `line 2: unknown key "buckte", is it bucket?`},
		"unknown below the outer key":      {"remote:\n  storage_type: mem\n  nonsense: x\n", remote.ErrInvalidConfig, `line 3: unknown key "nonsense"`},
		"beside the outer key":             {"remote:\n  storage_type: mem\nmode: push\n", remote.ErrInvalidConfig, "line 1: remote can only stand around"},
		"ill-typed":                        {"storage_type: mem\nsync_interval: soon\n", remote.ErrInvalidConfig, "line 2: sync_interval wants a whole number of seconds"},
		"a list for a text":                {"storage_type: [mem]\n", remote.ErrInvalidConfig, "line 1: storage_type wants a text"},
		"no truth":                         {"storage_type: mem\nauto_switch_to_pull: maybe\n", remote.ErrInvalidConfig, "line 2: auto_switch_to_pull wants true or false"},
		"several":                          {"sync_interval: x\nfoo: 1\n", remote.ErrInvalidConfig, `line 1: sync_interval wants a whole number of seconds; line 2: unknown key "foo"`},
		"no keys":                          {"some text\n", remote.ErrInvalidConfig, "line 1: want keys with values"},
		"nothing below the outer key":      {"remote:\n", remote.ErrInvalidConfig, "line 1: want keys with values"},
		"no YAML":                          {"storage_type: mem\n\tmode: push\n", remote.ErrInvalidConfig, "line 2: found a tab"},
		"twice":                            {"storage_type: mem\nstorage_type: mem\n", remote.ErrInvalidConfig, "line 2: storage_type is already in line 1"},
		"two documents":                    {"storage_type: mem\n---\nmode: pull\n", remote.ErrInvalidConfig, "document"},
		"mode":                             {"storage_type: mem\nmode: sideways\n", remote.ErrInvalidConfig, `line 2: mode: unknown mode "sideways": push, init and pull`},
		"no place":                         {"mode: push\n", remote.ErrInvalidConfig, "storage_type or url"},
		"unknown type":                     {"storage_type: tape\n", remote.ErrInvalidConfig, "s3, gs, azblob"},
		"no bucket":                        {"storage_type: s3\n", remote.ErrInvalidConfig, "needs bucket"},
		"no path":                          {"storage_type: local\n", remote.ErrInvalidConfig, "needs path"},
		"url and bucket":                   {"url: s3://b\nbucket: b\n", remote.ErrInvalidConfig, "url stands instead"},
		"url of a folder and key":          {"url: /mnt/backups\nkey: k\nsecret: s\n", remote.ErrInvalidConfig, "line 1: url names a folder or memory, which takes no key or secret"},
		"a replica's folder and key":       {"storage_type: mem\nreplicas:\n- url: file:///mnt/backups\n  secret: s\n", remote.ErrInvalidConfig, "number 1: url names a folder"},
		"level":                            {"storage_type: mem\ncompression_level: 23\n", remote.ErrInvalidConfig, "line 2: compression_level 23: 0 (store) to 22"},
		"negative level":                   {"storage_type: mem\ncompression_level: -1\n", remote.ErrInvalidConfig, "0 (store) to 22"},
		"interval":                         {"storage_type: mem\nsync_interval: 0\n", remote.ErrInvalidConfig, "at least 1"},
		"a replica of what":                {"storage_type: mem\nreplicas: [x]\n", remote.ErrInvalidConfig, "line 2"},
		"a replica nowhere":                {"storage_type: mem\nreplicas:\n- storage_type: s3\n", remote.ErrInvalidConfig, "line 2: replicas, number 1: storage_type s3 needs bucket"},
		"a replica with more than a place": {"storage_type: mem\nreplicas:\n- storage_type: mem\n  mode: push\n", remote.ErrInvalidConfig, "mode"},
		"replicas to pull from":            {"storage_type: mem\nmode: pull\nreplicas:\n- storage_type: mem\n", remote.ErrInvalidConfig, "replicas"},
		"selected paths":                   {"storage_type: mem\ninclude_paths: [x]\n", remote.ErrUnsupported, "include_paths"},
		"key with a folder":                {"storage_type: local\npath: /x\nkey: k\n", remote.ErrInvalidConfig, "takes no"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := remote.ParseConfig([]byte(c.text))
			require.ErrorIs(t, err, c.want)
			require.Contains(t, err.Error(), c.says)
			require.NotRegexp(t, `yaml|!!|remote\.`, err.Error(), "it is for who wrote the file")
		})
	}
	c, err := remote.ParseConfig([]byte("storage_type: s3\nbucket: ${env:SLUICE_TEST_UNSET}\n"))
	require.NoError(t, err)
	_, err = c.Storage()
	require.ErrorIs(t, err, remote.ErrInvalidConfig)
	require.Contains(t, err.Error(), "SLUICE_TEST_UNSET")
}

// What anchors and merges bring is checked, too.
func TestConfigWithAnchors(t *testing.T) {
	c, err := remote.ParseConfig([]byte("storage_type: &type mem\nreplicas:\n- &far {storage_type: s3, bucket: b}\n- {<<: *far, prefix: p}\n- {storage_type: *type}\n"))
	require.NoError(t, err)
	require.Equal(t, "b", c.Replicas[1].Bucket)
	require.Equal(t, "mem", c.Replicas[2].StorageType)
	_, err = remote.ParseConfig([]byte("storage_type: mem\nreplicas:\n- {storage_type: mem, <<: {mode: push}}\n"))
	require.ErrorIs(t, err, remote.ErrInvalidConfig)
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

// The page lists every key, and no other.
func TestConfigurationPage(t *testing.T) {
	page, err := os.ReadFile("../docs/CONFIGURATION.md")
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(page), "|---|---|---|\n")
	var listed []string
	for row := range strings.Lines(table) {
		keys, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		for key := range strings.SplitSeq(keys, ", ") {
			listed = append(listed, strings.Trim(key, "`"))
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(remote.ConfigKeys)), listed)
}

// Which URL a variable stands for is known only when it is resolved.
func TestConfigOfAFolderByAVariableTakesNoKey(t *testing.T) {
	c, err := remote.ParseConfig([]byte("url: ${env:SLUICE_TEST_URL}\nkey: k\nsecret: s\n"))
	require.NoError(t, err)
	t.Setenv("SLUICE_TEST_URL", "/mnt/backups")
	_, err = c.Storage()
	require.ErrorIs(t, err, remote.ErrInvalidConfig)
	require.ErrorContains(t, err, "takes no key or secret")
	t.Setenv("SLUICE_TEST_URL", "s3://bucket/prefix")
	_, err = c.Storage()
	require.NoError(t, err)
}

// A URL that has credentials, against the rules, is refused, and not shown by what stands in a log.
func TestConfigShowsNoCredentialsOfAURL(t *testing.T) {
	_, err := remote.ParseConfig([]byte("url: s3://key:geheim@bucket/p\n"))
	require.ErrorIs(t, err, remote.ErrInvalidConfig)
	require.NotContains(t, err.Error(), "geheim")
	c, err := remote.ParseConfig([]byte("url: s3://key:geheim@${env:BUCKET}/p\n"))
	require.NoError(t, err, "its variables are not known yet")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, *c), "geheim")
	}
	require.Equal(t, "push mem /p", remote.Config{StorageType: "mem", Prefix: "p"}.String())
}

func TestConfigOfTheDocument(t *testing.T) {
	text, err := os.ReadFile("../docs/CONFIGURATION.md")
	require.NoError(t, err)
	var example strings.Builder
	for line := range strings.Lines(string(text)) {
		if indented, is := strings.CutPrefix(line, "    "); is {
			example.WriteString(indented)
		}
	}
	c, err := remote.ParseConfig([]byte(example.String()))
	require.NoError(t, err)
	t.Setenv("BACKUP_KEY", "key")
	t.Setenv("BACKUP_SECRET", "secret")
	place, err := c.Storage()
	require.NoError(t, err)
	require.Equal(t, "s3", place.Scheme)
	require.Len(t, c.Replicas, 1)
}
