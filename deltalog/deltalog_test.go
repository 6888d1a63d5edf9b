package deltalog_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
)

func scan(t *testing.T, commit string) *deltalog.Commit {
	t.Helper()
	c, err := deltalog.ScanCommit(strings.NewReader(commit))
	require.NoError(t, err)
	require.EqualValues(t, len(commit), c.Size)
	require.Equal(t, sha256.Sum256([]byte(commit)), c.SHA256)
	return c
}

const (
	vectorA = `{"storageType":"u","pathOrInlineDv":"ab^-aqEH.-t@S}K{vb[*k^","offset":4,"sizeInBytes":40,"cardinality":6}`
	fileA   = "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin"
	vectorI = `{"storageType":"i","pathOrInlineDv":"wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L","sizeInBytes":40,"cardinality":6}`
)

func TestScanCommit(t *testing.T) {
	paths := func(c *deltalog.Commit) (all []string) {
		for _, f := range c.Files {
			entry := string(f.Kind) + " " + f.Path
			if f.Kept {
				entry += " kept"
			}
			all = append(all, entry)
		}
		return all
	}
	for name, c := range map[string]struct {
		commit string
		want   []string
	}{
		"add":                       {`{"add":{"path":"a","size":3}}`, []string{"data a"}},
		"twice in one commit (H10)": {`{"add":{"path":"a"}}` + "\n" + `{"cdc":{"path":"a"}}`, []string{"data a"}},
		"change data":               {`{"cdc":{"path":"_change_data/c","size":1}}`, []string{"change-data _change_data/c"}},
		"escapes, decoded once":     {`{"add":{"path":"x=A%252FA/p+q%20r"}}`, []string{"data x=A%2FA/p+q r"}},
		"malformed escape":          {`{"add":{"path":"100%/%zz"}}`, []string{"data 100%/%zz"}},
		"deletion vector":           {`{"add":{"path":"a","deletionVector":` + vectorA + `}}`, []string{"data a", "deletion-vector " + fileA}},
		"inline deletion vector":    {`{"add":{"path":"a","deletionVector":` + vectorI + `}}`, []string{"data a"}},
		"vector given to a live file": {`{"remove":{"path":"a"}}` + "\n" + `{"add":{"path":"a","deletionVector":` + vectorA + `}}`,
			[]string{"data a kept", "deletion-vector " + fileA}},
		"vector taken away again":                        {`{"add":{"path":"a"}}` + "\n" + `{"remove":{"path":"a","deletionVector":` + vectorA + `}}`, []string{"data a kept"}},
		"remove and add without a vector":                {`{"remove":{"path":"a"}}` + "\n" + `{"add":{"path":"a"}}`, []string{"data a"}},
		"no final newline, CRLF, blank lines, BOM (H16)": {"\xef\xbb\xbf{\"add\":{\"path\":\"a\"}}\r\n\r\n{\"add\":{\"path\":\"b\"}}", []string{"data a", "data b"}},
		"pretty printed":                                 {"{\n \"add\": {\n  \"path\": \"a\",\n \"tags\": {\"k\": [1, {\"x\": null}]}\n }\n}", []string{"data a"}},
		"unknown action and field":                       {`{"future":{"path":"z"}}` + "\n" + `{"add":{"path":"a","new":{"path":"no"}}}`, []string{"data a"}},
		"tombstone with an absolute path":                {`{"remove":{"path":"s3://x/y"}}`, nil},
		"a line of 20 MB (H11)":                          {`{"add":{"path":"a","stats":"` + strings.Repeat("s", 20<<20) + `"}}`, []string{"data a"}},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, paths(scan(t, c.commit))) })
	}
}

func TestScanCommitNumbersAreExact(t *testing.T) {
	c := scan(t, `{"commitInfo":{"inCommitTimestamp":9223372036854775807,"operation":"WRITE"}}`)
	require.EqualValues(t, 9223372036854775807, *c.InCommitTimestamp)
	require.Equal(t, "WRITE", c.Operation)
}

func TestScanCommitRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		commit string
		want   error
	}{
		"empty (H5)":         {"", deltalog.ErrIncomplete},
		"cut":                {`{"add":{"pa`, deltalog.ErrIncomplete},
		"not JSON":           {"hello", deltalog.ErrCorrupt},
		"not an object":      {"[1]", deltalog.ErrCorrupt},
		"no path":            {`{"add":{}}`, deltalog.ErrCorrupt},
		"traversal (H20)":    {`{"add":{"path":"..//Users/x"}}`, deltalog.ErrCorrupt},
		"escaped traversal":  {`{"add":{"path":"%2e%2e/x"}}`, deltalog.ErrCorrupt},
		"into the log":       {`{"add":{"path":"_delta_log/x"}}`, deltalog.ErrCorrupt},
		"NUL":                {`{"add":{"path":"a%00b"}}`, deltalog.ErrCorrupt},
		"absolute":           {`{"add":{"path":"/etc/passwd"}}`, deltalog.ErrUnsupported},
		"scheme":             {`{"add":{"path":"file:///x"}}`, deltalog.ErrUnsupported},
		"long name (H22)":    {`{"add":{"path":"` + strings.Repeat("n", 300) + `"}}`, deltalog.ErrUnsupported},
		"absolute vector":    {`{"add":{"path":"a","deletionVector":{"storageType":"p","pathOrInlineDv":"s3://x/v.bin"}}}`, deltalog.ErrUnsupported},
		"metadata elsewhere": {`{"checkpoint":[{"path":"metadata/x"}]}`, deltalog.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := deltalog.ScanCommit(strings.NewReader(c.commit))
			require.ErrorIs(t, err, c.want)
		})
	}
}

// TestScanCommitCutAtEveryByte: whatever is missing, it is either a shorter
// whole commit or an error.
func TestScanCommitCutAtEveryByte(t *testing.T) {
	whole := `{"add":{"path":"a"}}` + "\n" + `{"remove":{"path":"b","deletionVector":` + vectorA + `}}` + "\n"
	for n := range len(whole) {
		_, err := deltalog.ScanCommit(strings.NewReader(whole[:n]))
		if n != 20 && n != 21 && n != len(whole)-1 {
			require.ErrorIs(t, err, deltalog.ErrIncomplete, "cut at %d", n)
		}
	}
}

func TestProtocolCheck(t *testing.T) {
	require.NoError(t, (deltalog.Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"deletionVectors"}, WriterFeatures: []string{"fromTheFuture"}}).Check())
	require.ErrorIs(t, (deltalog.Protocol{MinReaderVersion: 3, ReaderFeatures: []string{"fromTheFuture"}}).Check(), deltalog.ErrUnsupported)
	require.ErrorIs(t, (deltalog.Protocol{MinReaderVersion: 4}).Check(), deltalog.ErrUnsupported)
}

func FuzzScanCommit(f *testing.F) {
	f.Add([]byte(`{"add":{"path":"a%20b","size":1,"deletionVector":` + vectorA + `}}`))
	f.Add([]byte("\xef\xbb\xbf{\"remove\":{\"path\":\"a\"}}\r\n{\"protocol\":{\"minReaderVersion\":1}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := deltalog.ScanCommit(strings.NewReader(string(b)))
		if err != nil {
			require.Nil(t, c)
			return
		}
		for _, file := range c.Files {
			require.True(t, filepath.IsLocal(filepath.FromSlash(file.Path)), file.Path)
		}
	})
}

func FuzzDecodePath(f *testing.F) {
	for _, s := range []string{"a/b", "%2e%2e/x", "x=%252F/y", "C:/x", "a\\b", "_delta_log/0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if path, err := deltalog.DecodePath(raw); err == nil {
			require.True(t, filepath.IsLocal(filepath.FromSlash(path)), path)
		}
	})
}

// replica is a table to apply to.
func replica(t *testing.T) (*deltalog.Dir, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "new", "replica")
	d, err := deltalog.OpenDir(dir)
	require.NoError(t, err)
	return d, dir
}

func stage(t *testing.T, d *deltalog.Dir, v deltalog.Version, files map[string]string) deltalog.Change {
	t.Helper()
	c := deltalog.Change{Version: v, Modified: time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)}
	for path, content := range files {
		require.NoError(t, d.Stage(t.Context(), v, path, strings.NewReader(content)))
		s := deltalog.Staged{Path: path, Size: int64(len(content)), SHA256: sha256.Sum256([]byte(content))}
		if path == v.CommitPath() {
			c.Commit = s
		} else {
			c.Files = append(c.Files, s)
		}
	}
	return c
}

func version(v deltalog.Version, name, content string) map[string]string {
	return map[string]string{v.CommitPath(): `{"add":{"path":"` + name + `"}}`, name: content}
}

func TestApply(t *testing.T) {
	d, dir := replica(t)
	c := stage(t, d, 0, version(0, "p=1/a", "content"))
	_, err := d.Tip(t.Context())
	require.ErrorIs(t, err, deltalog.ErrNoTable, "what is staged is invisible")
	require.NoError(t, d.Apply(t.Context(), c))
	b, err := os.ReadFile(filepath.Join(dir, "p=1", "a"))
	require.NoError(t, err)
	require.Equal(t, "content", string(b))
	info, err := os.Stat(filepath.Join(dir, deltalog.Version(0).CommitPath()))
	require.NoError(t, err)
	require.True(t, info.ModTime().Equal(c.Modified), info.ModTime())
	require.NoError(t, d.Discard(t.Context()))
	require.NoDirExists(t, filepath.Join(dir, ".sluice"))

	t.Run("the same again", func(t *testing.T) {
		require.NoError(t, d.Apply(t.Context(), stage(t, d, 0, version(0, "p=1/a", "content"))))
	})
	t.Run("another commit (H32)", func(t *testing.T) {
		err := d.Apply(t.Context(), stage(t, d, 0, map[string]string{deltalog.Version(0).CommitPath(): `{"commitInfo":{}}`}))
		require.ErrorIs(t, err, deltalog.ErrConflict)
	})
	t.Run("a file that a version names, with other bytes (H8)", func(t *testing.T) {
		err := d.Apply(t.Context(), stage(t, d, 1, version(1, "p=1/a", "changed")))
		require.ErrorIs(t, err, deltalog.ErrConflict)
		require.NoFileExists(t, filepath.Join(dir, deltalog.Version(1).CommitPath()))
	})
	t.Run("an orphan with other bytes (H33)", func(t *testing.T) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "orphan"), []byte("rest of a crash"), 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(dir, ".orphan.crc"), []byte("stale"), 0o644))
		require.NoError(t, d.Apply(t.Context(), stage(t, d, 1, version(1, "orphan", "whole"))))
		b, err := os.ReadFile(filepath.Join(dir, "orphan"))
		require.NoError(t, err)
		require.Equal(t, "whole", string(b))
		require.NoFileExists(t, filepath.Join(dir, ".orphan.crc"))
	})
	t.Run("not the next version", func(t *testing.T) {
		require.Error(t, d.Apply(t.Context(), stage(t, d, 7, version(7, "x", "x"))))
	})
	t.Run("a link that leads out (H24)", func(t *testing.T) {
		outside := t.TempDir()
		require.NoError(t, os.Symlink(outside, filepath.Join(dir, "link")))
		require.Error(t, d.Apply(t.Context(), stage(t, d, 2, version(2, "link/x", "x"))))
		names, err := os.ReadDir(outside)
		require.NoError(t, err)
		require.Empty(t, names)
	})
}

func TestStageThatFails(t *testing.T) {
	d, dir := replica(t)
	err := d.Stage(t.Context(), 0, "a", io.MultiReader(strings.NewReader("half"), failing{}))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, d.Stage(ended, 0, "a", strings.NewReader("x")), context.Canceled)
	require.Error(t, d.Stage(t.Context(), 0, "../a", strings.NewReader("x")))
	files, err := filepath.Glob(filepath.Join(dir, ".sluice/stage/*/*"))
	require.NoError(t, err)
	require.Empty(t, files)
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestKilledWhileTheMarkerWasWritten: the half-written marker is ours, so init
// may begin again, and it goes.
func TestKilledWhileTheMarkerWasWritten(t *testing.T) {
	d, dir := replica(t)
	half := filepath.Join(dir, ".sluice", ".sluice-tmp-XYZ")
	require.NoError(t, os.MkdirAll(filepath.Dir(half), 0o755))
	require.NoError(t, os.WriteFile(half, []byte("{"), 0o644))
	state, err := d.State(t.Context())
	require.NoError(t, err)
	require.True(t, state.Empty)
	require.NoError(t, d.SetMarker(t.Context(), []byte("{}")))
	require.NoError(t, d.Discard(t.Context()))
	require.NoFileExists(t, half)
	require.NoError(t, d.SetMarker(t.Context(), nil))
	require.NoDirExists(t, filepath.Join(dir, ".sluice"))
}

func TestConcurrentApply(t *testing.T) {
	d, dir := replica(t)
	content := version(0, "a", "content")
	c := stage(t, d, 0, content)
	var wg sync.WaitGroup
	var ok int
	var mu sync.Mutex
	for range 8 {
		wg.Go(func() {
			if d.Apply(t.Context(), c) == nil {
				mu.Lock()
				ok++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	require.Positive(t, ok, "who comes late finds the stage gone, which is an error and harmless")
	b, err := os.ReadFile(filepath.Join(dir, deltalog.Version(0).CommitPath()))
	require.NoError(t, err)
	require.Equal(t, content[deltalog.Version(0).CommitPath()], string(b))
}

func TestTip(t *testing.T) {
	name := func(v int) string { return "_delta_log/" + deltalog.Version(v).String() + ".json" }
	for label, c := range map[string]struct {
		files map[string]string
		want  deltalog.Version
		err   error
	}{
		"one":                      {map[string]string{name(0): "{}"}, 0, nil},
		"foreign names":            {map[string]string{name(0): "{}", "_delta_log/_commit_x.json.tmp": "", "_delta_log/.0.json.crc": "", "_delta_log/7.json": "", "_delta_log/_staged_commits/" + deltalog.Version(1).String() + ".x.json": ""}, 0, nil},
		"newest empty (H5)":        {map[string]string{name(0): "{}", name(1): ""}, 0, nil},
		"newest half-written (H5)": {map[string]string{name(0): "{}", name(1): `{"add":`}, 0, nil},
		"only an empty one":        {map[string]string{name(0): ""}, 0, deltalog.ErrNoTable},
		"no log":                   {map[string]string{"x": ""}, 0, deltalog.ErrNoTable},
		"hole (H6)":                {map[string]string{name(0): "{}", name(2): "{}"}, 0, deltalog.ErrCorrupt},
		"begins at a checkpoint":   {map[string]string{name(5): "{}", "_delta_log/" + deltalog.Version(5).String() + ".checkpoint.parquet": "x"}, 0, deltalog.ErrUnsupported},
		"only a checkpoint (H14)":  {map[string]string{"_delta_log/" + deltalog.Version(5).String() + ".checkpoint.parquet": "x"}, 0, deltalog.ErrUnsupported},
	} {
		t.Run(label, func(t *testing.T) {
			dir := t.TempDir()
			for path, content := range c.files {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, path)), 0o755))
				require.NoError(t, os.WriteFile(filepath.Join(dir, path), []byte(content), 0o644))
			}
			d, err := deltalog.OpenDir(dir)
			require.NoError(t, err)
			for how, tip := range map[string]func() (deltalog.Version, error){
				"listed":  func() (deltalog.Version, error) { return d.Tip(t.Context()) },
				"from 0":  func() (deltalog.Version, error) { return d.TipFrom(t.Context(), 0) },
				"from 99": func() (deltalog.Version, error) { return d.TipFrom(t.Context(), 99) },
			} {
				got, err := tip()
				require.ErrorIs(t, err, c.err, how)
				require.Equal(t, c.want, got, how)
			}
		})
	}
}

// TestGoldenLiveSets replays the log of every golden table that is complete
// from version 0 and compares the live files with what is expected of it.
func TestGoldenLiveSets(t *testing.T) {
	dir := os.Getenv("SLUICE_GOLDEN")
	if dir == "" {
		t.Skip("SKIPPED: SLUICE_GOLDEN names no folder of golden tables")
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	require.NoError(t, err)
	checked := 0
	for _, name := range names {
		table := strings.TrimSuffix(name, ".json")
		var about struct {
			Expect   string
			Latest   deltalog.Version   `json:"latest_version"`
			Versions []deltalog.Version `json:"commit_versions"`
			Active   []struct{ Path string }
		}
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &about))
		if about.Expect != "ok" || len(about.Versions) == 0 || about.Versions[0] != 0 || strings.Contains(table, "canonicalized-paths") {
			continue
		}
		d, err := deltalog.OpenDir(table)
		require.NoError(t, err)
		tip, err := d.Tip(t.Context())
		require.NoError(t, err, table)
		require.Equal(t, about.Latest, tip, table)
		var live deltalog.Live
		for v := range tip + 1 {
			f, err := d.OpenCommit(t.Context(), v)
			require.NoError(t, err)
			require.NoError(t, live.Apply(f), table)
			require.NoError(t, f.Close())
		}
		want := map[string]bool{}
		for _, a := range about.Active {
			path, err := deltalog.DecodePath(a.Path)
			require.NoError(t, err)
			want[path] = true
		}
		got := map[string]bool{}
		for path := range live.Paths() {
			if !strings.HasSuffix(path, ".bin") {
				got[path] = true
			}
		}
		require.Equal(t, want, got, table)
		checked++
	}
	require.Greater(t, checked, 25)
}
