// Package e2e drives the sluice command as a user would, with tables that real
// Delta engines write and replicas that they read.
package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pondworks/sluice/deltalog"
)

// binDir is where the command is built, once.
var binDir string

// TestMain fails where goroutines are left behind. It keeps Google's SDK from asking
// the metadata service of the machine, since it keeps the connection.
func TestMain(m *testing.M) {
	if err := os.Setenv("GCE_METADATA_HOST", "127.0.0.1:1"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(suite{m})
}

// suite is all tests, with what they share made before and removed after them.
type suite struct{ m *testing.M }

func (s suite) Run() int {
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		panic(err)
	}
	binDir = dir
	code := s.m.Run()
	if err := errors.Join(stopLab(), os.RemoveAll(dir)); err != nil {
		panic(err)
	}
	return code
}

var buildSluice = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(binDir, "sluice")
	build := exec.Command("go", "build", "-tags", "disable_grpc_modules", "-o", bin, "github.com/pondworks/sluice/examples/sluice") // as README.md says
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return bin, err
})

func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	bin, err := buildSluice()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// sluice runs the command and returns its exit code and what it said.
func sluice(t *testing.T, env []string, args ...string) (int, string) {
	t.Helper()
	out, err := command(t, env, args...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), string(out)
	}
	require.NoError(t, err)
	return 0, string(out)
}

func must(t *testing.T, env []string, args ...string) string {
	t.Helper()
	code, out := sluice(t, env, args...)
	require.Zero(t, code, "sluice %v: %s", args, out)
	return out
}

// place is a store for one test.
type place struct {
	url string
	env []string
}

// under is the URL of what lies below, with the same parameters.
func (p place) under(t *testing.T, name string) string {
	t.Helper()
	u, err := url.Parse(p.url)
	require.NoError(t, err)
	return u.JoinPath(name).String()
}

// places are the stores that this run has: a folder always, the others where
// .ci/run started their servers.
func places(t *testing.T) map[string]place {
	t.Helper()
	prefix := fmt.Sprintf("e2e-%d", time.Now().UnixNano())
	all := map[string]place{"file": {url: "file://" + filepath.ToSlash(t.TempDir()) + "/store"}}
	if endpoint := os.Getenv("SLUICE_TEST_S3"); endpoint != "" {
		bucket := os.Getenv("SLUICE_TEST_S3_BUCKET")
		makeBucket(t, endpoint, bucket)
		all["s3"] = place{fmt.Sprintf("s3://%s/%s?endpoint=%s&region=us-east-1&use_path_style=true", bucket, prefix, endpoint),
			[]string{"AWS_ACCESS_KEY_ID=" + os.Getenv("SLUICE_TEST_S3_KEY"), "AWS_SECRET_ACCESS_KEY=" + os.Getenv("SLUICE_TEST_S3_SECRET")}}
	}
	if endpoint := os.Getenv("SLUICE_TEST_GCS"); endpoint != "" {
		makeGCSBucket(t, endpoint)
		all["gs"] = place{fmt.Sprintf("gs://e2e/%s?endpoint=%s&anonymous=true", prefix, endpoint), nil}
	}
	if endpoint := os.Getenv("SLUICE_TEST_AZURE"); endpoint != "" {
		makeContainer(t, endpoint)
		all["azblob"] = place{fmt.Sprintf("azblob://e2e/%s?account=devstoreaccount1&endpoint=%s", prefix, endpoint), []string{"AZURE_STORAGE_KEY=" + azuriteKey}}
	}
	return all
}

// python starts a script of testdata, or skips.
func python(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	interpreter := os.Getenv("SLUICE_PYTHON")
	if interpreter == "" {
		t.Skip("SKIPPED: SLUICE_PYTHON names no Python with deltalake, polars and duckdb; .ci/run installs one")
	}
	args[0] = filepath.Join("testdata", args[0])
	cmd := exec.CommandContext(t.Context(), interpreter, args...)
	cmd.Stderr = os.Stderr
	return cmd
}

// requireSameCommits compares content and time of every commit file.
func requireSameCommits(t *testing.T, source, replica string) {
	t.Helper()
	commits := func(dir string) map[string]string {
		found := map[string]string{}
		names, err := filepath.Glob(filepath.Join(dir, "_delta_log", "*.json"))
		require.NoError(t, err)
		for _, name := range names {
			b, err := os.ReadFile(name)
			require.NoError(t, err)
			info, err := os.Stat(name)
			require.NoError(t, err)
			found[filepath.Base(name)] = fmt.Sprintf("%x %s", sha256.Sum256(b), info.ModTime().UTC().Format(time.RFC3339Nano))
		}
		return found
	}
	want := commits(source)
	require.NotEmpty(t, want)
	require.Equal(t, want, commits(replica))
}

// TestTwoProcesses lets two processes push one table at once, again and again.
func TestTwoProcesses(t *testing.T) {
	for name, p := range places(t) {
		if name != "file" && name != "s3" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			source := filepath.Join(t.TempDir(), "pond")
			for round := range 20 {
				commit(t, source, 3*round, 3)
				var wg sync.WaitGroup
				for range 2 {
					cmd := command(t, p.env, "push", source, p.url)
					wg.Go(func() {
						if out, err := cmd.CombinedOutput(); err != nil {
							t.Errorf("round %d: %v: %s", round, err, out)
						}
					})
				}
				wg.Wait()
			}
			replica := filepath.Join(t.TempDir(), "replica")
			must(t, p.env, "init", replica, p.url)
			requireSameCommits(t, source, replica)
			lines := strings.Count(must(t, p.env, "versions", "--json", p.url), "\n")
			require.Equal(t, 60, lines)
		})
	}
}

// commit writes n plain commits, each with one file, from version first on.
func commit(t *testing.T, table string, first, n int) {
	t.Helper()
	log := filepath.Join(table, "_delta_log")
	require.NoError(t, os.MkdirAll(log, 0o755))
	for v := first; v < first+n; v++ {
		text := ""
		if v == 0 {
			text = `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n" +
				`{"metaData":{"id":"e2e","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}}` + "\n"
		}
		file := fmt.Sprintf("part-%05d.parquet", v)
		content := strings.Repeat(fmt.Sprint("content of ", v, " "), 100)
		require.NoError(t, os.WriteFile(filepath.Join(table, file), []byte(content), 0o644))
		text += fmt.Sprintf(`{"add":{"path":%q,"partitionValues":{},"size":%d,"modificationTime":1,"dataChange":true}}`+"\n", file, len(content))
		require.NoError(t, os.WriteFile(filepath.Join(log, fmt.Sprintf("%020d.json", v)), []byte(text), 0o644))
	}
}

// TestInitKilled kills init at moments spread over its run; the next one
// finishes the work.
func TestInitKilled(t *testing.T) {
	source, store := filepath.Join(t.TempDir(), "pond"), "file://"+filepath.ToSlash(t.TempDir())+"/store"
	commit(t, source, 0, 60)
	must(t, nil, "push", source, store)
	killed := 0
	for after := time.Duration(0); after < 120*time.Millisecond; after += 6 * time.Millisecond {
		replica := filepath.Join(t.TempDir(), "replica")
		cmd := command(t, nil, "init", "--concurrency", "2", replica, store)
		require.NoError(t, cmd.Start())
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		if cmd.Wait() != nil {
			killed++
		}
		timer.Stop()
		must(t, nil, "init", replica, store)
		requireSameCommits(t, source, replica)
		require.NoDirExists(t, filepath.Join(replica, ".sluice"))
	}
	require.Positive(t, killed, "no init was ever cut off")
	t.Logf("%d inits were cut off", killed)
}

func TestExitCodes(t *testing.T) {
	source, store := filepath.Join(t.TempDir(), "pond"), "file://"+filepath.ToSlash(t.TempDir())+"/store"
	commit(t, source, 0, 3)
	must(t, nil, "push", source, store)
	other := filepath.Join(t.TempDir(), "other")
	commit(t, other, 0, 2)
	require.NoError(t, os.WriteFile(filepath.Join(other, "_delta_log", "00000000000000000001.json"), []byte(`{"commitInfo":{}}`), 0o644))
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "notes.txt"), nil, 0o644))
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"no command":       {[]string{"frobnicate"}, 2},
		"missing argument": {[]string{"push", source}, 2},
		"unknown flag":     {[]string{"push", "--nope", source, store}, 2},
		"unknown scheme":   {[]string{"push", source, "ftp://x/y"}, 2},
		"diverged":         {[]string{"push", other, store}, 3},
		"gap":              {[]string{"init", "--version", "9", filepath.Join(t.TempDir(), "r"), store}, 4},
		"not empty":        {[]string{"init", full, store}, 7},
		"empty store":      {[]string{"init", filepath.Join(t.TempDir(), "r"), "file://" + t.TempDir()}, 1},
		"unavailable":      {[]string{"versions", "s3://b/p?endpoint=http://127.0.0.1:1&region=x"}, 6},
		"done":             {[]string{"status", source, store}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			code, out := sluice(t, []string{"AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y"}, c.args...)
			require.Equal(t, c.code, code, "%s", out)
			if code != 0 {
				require.True(t, strings.HasPrefix(out, "sluice: "), out)
			}
		})
	}
}

// TestGolden sends every golden table through push and init. Those that can be
// copied arrive byte for byte, the others are refused.
func TestGolden(t *testing.T) {
	dir := os.Getenv("SLUICE_GOLDEN")
	if dir == "" {
		t.Skip("SKIPPED: SLUICE_GOLDEN names no folder of golden tables")
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	refused := map[string]int{
		"delta__versions-not-contiguous":       5,
		"delta__canonicalized-paths-normal-a":  8,
		"delta-rs__table-with-domain-metadata": 8,
		"delta-rs__simple_table_features":      8,
	}
	// No checkpoint of ours would do for a table whose commits a catalog keeps.
	noBase := map[string]int{"delta__catalog-owned-preview": 8}
	restored := 0
	for _, name := range names {
		table := strings.TrimSuffix(name, ".json")
		t.Run(filepath.Base(table), func(t *testing.T) {
			var about struct {
				Missing int `json:"active_missing_on_disk"`
				Active  []struct {
					OnDisk bool `json:"on_disk"`
				}
			}
			b, err := os.ReadFile(name)
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(b, &about))
			want := refused[filepath.Base(table)]
			if want == 0 && about.Missing > 0 {
				want = 5 // a live file is not there
			}
			store, replica := "file://"+t.TempDir()+"/store", filepath.Join(t.TempDir(), "replica")
			code, out := sluice(t, nil, "push", table, store)
			require.Equal(t, want, code, "%s", out)
			if want != 0 {
				return
			}
			restored++
			must(t, nil, "init", replica, store)
			if _, err := os.Stat(filepath.Join(table, deltalog.Version(0).CommitPath())); err == nil {
				requireSameFiles(t, table, replica)
			}
			requireSameState(t, table, replica)

			code, out = sluice(t, nil, "base", table, store)
			require.Equal(t, noBase[filepath.Base(table)], code, "%s", out)
			live := filepath.Join(t.TempDir(), "live")
			out = must(t, nil, "init", "--history", "live", live, store)
			require.Equal(t, code == 0, strings.Contains(out, "base of version"), out)
			requireSameState(t, table, live)
		})
	}
	require.Greater(t, restored, 20)
	t.Logf("%d golden tables restored", restored)
}

// requireSameState asserts that both tables say the same at their newest version:
// protocol, id, schema, live files as the log names them; and that these are
// there, byte for byte.
func requireSameState(t *testing.T, source, replica string) {
	t.Helper()
	type state struct {
		protocol deltalog.Protocol
		metadata deltalog.Metadata
		live     map[string]string
	}
	read := func(dir string) (s state) {
		d, err := deltalog.OpenDir(dir)
		require.NoError(t, err)
		tip, err := d.Tip(t.Context())
		require.NoError(t, err)
		snapshot, err := d.Snapshot(t.Context(), tip, nil)
		require.NoError(t, err)
		s.protocol, s.metadata, s.live = *snapshot.Protocol, *snapshot.Metadata, map[string]string{}
		for a, err := range snapshot.Adds() {
			require.NoError(t, err)
			for _, path := range []string{a.Path, a.VectorFile} {
				if path != "" {
					s.live[a.RawPath+" "+path] = digest(t, filepath.Join(dir, filepath.FromSlash(path)))
				}
			}
		}
		require.NoError(t, snapshot.Close())
		return s
	}
	require.Equal(t, read(source), read(replica))
}

func digest(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// requireSameFiles asserts that all commits are there with their times, and that
// every file of the replica is that of the source. Checkpoints are not compared:
// they are a help for readers, and where the source's own came too late or is too
// large the replica has another.
func requireSameFiles(t *testing.T, source, replica string) {
	t.Helper()
	var want []string
	entries, err := os.ReadDir(filepath.Join(source, "_delta_log"))
	require.NoError(t, err)
	for _, e := range entries {
		if name := e.Name(); len(name) == 25 && strings.HasSuffix(name, ".json") {
			want = append(want, name)
		}
	}
	var got []string
	require.NoError(t, filepath.WalkDir(replica, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(replica, path)
		require.NoError(t, err)
		_, isCommit := deltalog.ParseCommitName(filepath.Base(rel))
		if inLog := strings.HasPrefix(rel, deltalog.LogDir+"/"); inLog && !isCommit {
			return nil
		}
		a, err := os.ReadFile(filepath.Join(source, rel))
		require.NoError(t, err)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, sha256.Sum256(a), sha256.Sum256(b), rel)
		if isCommit {
			got = append(got, filepath.Base(rel))
			sourceInfo, err := os.Stat(filepath.Join(source, rel))
			require.NoError(t, err)
			info, err := d.Info()
			require.NoError(t, err)
			require.True(t, info.ModTime().Equal(sourceInfo.ModTime()), rel)
		}
		return nil
	}))
	slices.Sort(got)
	slices.Sort(want)
	require.Equal(t, want, got)
}
