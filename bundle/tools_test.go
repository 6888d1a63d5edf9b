package bundle

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// GNU tar and zstd alone rebuild the pond (FORMAT.md, section 4).
func TestTarAndZstdUnpack(t *testing.T) {
	for _, tool := range []string{"tar", "zstd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT TESTED: that tar and zstd unpack a bundle, since %s is not installed", tool)
		}
	}
	if out, err := exec.Command("tar", "--version").Output(); err != nil || !strings.Contains(string(out), "GNU tar") {
		t.Skip("NOT TESTED: that GNU tar unpacks a bundle, since tar is another one")
	}
	files, m := tree{}, Manifest{}
	m.Versions = []Version{
		version(files, 0, "größe=ß/日本語.parquet", "empty", strings.Repeat("d/", 90)+strings.Repeat("n", 200)),
		version(files, 1, "x=a b/c%2Fd.parquet"),
	}
	files["x=a b/c%2Fd.parquet"] = randomBytes(3 << 20)
	raw, done := encode(t, m, files)
	dir := t.TempDir()
	bundle := filepath.Join(dir, "bundle.tar.zst")
	require.NoError(t, os.WriteFile(bundle, raw, 0o644))
	run(t, "zstd", "-q", "-t", bundle)
	run(t, "zstd", "-q", "-t", "--memory=8MB", bundle)

	out := filepath.Join(dir, "out")
	require.NoError(t, os.Mkdir(out, 0o755))
	run(t, "tar", "--zstd", "-C", out, "-xf", bundle)
	for want := range done.members() {
		name := filepath.Join(out, filepath.FromSlash(want.Path))
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		assert.Equal(t, want.SHA256, digestOf(b), want.Path)
		info, err := os.Stat(name)
		require.NoError(t, err)
		assert.True(t, info.ModTime().Equal(want.modified), "%s: time %v, want %v", want.Path, info.ModTime(), want.modified)
	}
	manifest, err := os.ReadFile(filepath.Join(out, manifestPath(0)))
	require.NoError(t, err)
	got, err := parseManifest(manifest)
	require.NoError(t, err)
	assert.Equal(t, done, got)
	assert.Equal(t, len(files)+1, countFiles(t, out))
}

// So does bsdtar, the tar of macOS, the BSDs and Windows.
func TestBsdtarUnpacks(t *testing.T) {
	if _, err := exec.LookPath("bsdtar"); err != nil {
		t.Skip("NOT TESTED: that bsdtar unpacks a bundle, since it is not installed")
	}
	raw, done, files := mixed(t)
	dir := t.TempDir()
	bundle := filepath.Join(dir, "bundle.tar.zst")
	require.NoError(t, os.WriteFile(bundle, raw, 0o644))
	out := filepath.Join(dir, "out")
	require.NoError(t, os.Mkdir(out, 0o755))
	run(t, "bsdtar", "-C", out, "-xf", bundle)
	for want := range done.members() {
		b, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(want.Path)))
		require.NoError(t, err)
		assert.Equal(t, want.SHA256, digestOf(b), want.Path)
	}
	assert.Equal(t, len(files)+1, countFiles(t, out))
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
}

func countFiles(t *testing.T, dir string) (n int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			n++
		}
		return err
	}))
	return n
}

// A program that reads all of an object, and was written from FORMAT.md alone, is not
// deceived by what Z4 forbids, and reads what is odd but good.
func TestReaderElsewhere(t *testing.T) {
	python := os.Getenv("SLUICE_PYTHON")
	if _, err := exec.LookPath("zstd"); python == "" || err != nil {
		t.Skip("NOT RUN: that a reader in another language reads the vectors: set SLUICE_PYTHON and install zstd")
	}
	last := map[string]string{"good-table.txt": "0 0", "good-null.txt": "0 1"}
	for name, v := range readVectors(t) {
		if v.rule == "Z4" {
			last[name] = "0 0"
		}
		if last[name] == "" {
			continue
		}
		store, table := filepath.Join(t.TempDir(), "store"), filepath.Join(t.TempDir(), "table")
		backup := filepath.Join(store, "backups", "version-000000")
		require.NoError(t, os.MkdirAll(backup, 0o755))
		identity := `{"format":1,"lineage":"x","table_id":"t","first_version":0}`
		require.NoError(t, os.WriteFile(filepath.Join(store, "sluice.json"), []byte(identity), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(backup, "bundle.tar.zst"), v.raw, 0o644))
		out, err := exec.CommandContext(t.Context(), python, "testdata/reader.py", store, table).CombinedOutput()
		require.NoError(t, err, "%s: %s", name, out)
		require.Equal(t, last[name], strings.TrimSpace(string(out)), name)
		b, err := os.ReadFile(filepath.Join(table, "a"))
		require.NoError(t, err)
		assert.Equal(t, "content of a", string(b), name)
	}
}
