package storage

import (
	"context"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type fakeDriver struct {
	opened *Config
}

func (fakeDriver) Schemes() []string { return []string{"fake", "fakes"} }

func (d fakeDriver) Open(_ context.Context, c Config) (Store, error) {
	*d.opened = c
	return NewMemory(), nil
}

func TestOpenChoosesTheDriver(t *testing.T) {
	var got Config
	_, err := Open(t.Context(), "fakes://b/p?x=1", fakeDriver{&got})
	require.NoError(t, err)
	require.Equal(t, Config{Scheme: "fakes", Bucket: "b", Prefix: "p", Params: url.Values{"x": {"1"}}}, got)
}

func TestOpenUnknownScheme(t *testing.T) {
	for url, hint := range map[string]string{
		"s3://b":     "import github.com/pondworks/sluice/storage/s3 and pass s3.Driver()",
		"gs://b":     "storage/gcs",
		"azblob://b": "storage/azure",
		"s4://b":     `unknown scheme "s4": known are azblob, fake, fakes, file, gs, mem, s3`,
	} {
		_, err := Open(t.Context(), url, fakeDriver{})
		require.ErrorIs(t, err, ErrInvalidConfig)
		require.ErrorContains(t, err, hint)
	}
}

func TestOpenBuiltIn(t *testing.T) {
	folder := filepath.ToSlash(t.TempDir())
	a, err := Open(t.Context(), "file://"+folder)
	require.NoError(t, err)
	b, err := OpenConfig(t.Context(), Config{Scheme: "file", Bucket: filepath.Dir(folder), Prefix: filepath.Base(folder)})
	require.NoError(t, err)
	require.NoError(t, a.Create(t.Context(), "k", strings.NewReader("x"), 1))
	require.ErrorIs(t, b.Create(t.Context(), "k", strings.NewReader("x"), 1), ErrExists, "both are the same folder")

	m, err := Open(t.Context(), "mem://")
	require.NoError(t, err)
	require.NoError(t, m.Create(t.Context(), "k", strings.NewReader("x"), 1))
	m, err = Open(t.Context(), "mem://")
	require.NoError(t, err)
	require.NoError(t, m.Create(t.Context(), "k", strings.NewReader("x"), 1), "each opening is a store of its own")
}

func TestOpenBuiltInRefuses(t *testing.T) {
	for name, c := range map[string]Config{
		"file parameter":      {Scheme: "file", Bucket: "/a", Params: url.Values{"create_dir": {"1"}}},
		"file without folder": {Scheme: "file"},
		"file with a key":     {Scheme: "file", Bucket: "/a", Key: NewSecret("k")},
		"memory parameter":    {Scheme: "mem", Params: url.Values{"create_dir": {"1"}}},
		"memory bucket":       {Scheme: "mem", Bucket: "b"},
		"bad prefix":          {Scheme: "file", Bucket: "/a", Prefix: "../b"},
		"secret parameter":    {Scheme: "file", Bucket: "/a", Params: url.Values{"password": {"hunter2"}}},
	} {
		_, err := OpenConfig(t.Context(), c)
		require.ErrorIs(t, err, ErrInvalidConfig, name)
		require.NotContains(t, err.Error(), "hunter2")
		if strings.Contains(name, "parameter") && name != "secret parameter" {
			require.ErrorContains(t, err, "create_dir")
		}
	}
}
