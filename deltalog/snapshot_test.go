package deltalog

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// begin is what every table states first.
const begin = `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"t","format":{"provider":"parquet","options":{}},"schemaString":"{}","partitionColumns":["p"],"configuration":{}}}
`

func addOf(path string) string {
	return `{"add":{"path":"` + path + `","partitionValues":{"p":null},"size":9007199254740993,"modificationTime":1,"dataChange":true}}` + "\n"
}

func removeOf(path string) string {
	return `{"remove":{"path":"` + path + `","deletionTimestamp":5}}` + "\n"
}

// logFrom is a table whose commits are these, from version 0 on.
func logFrom(commits ...string) map[string]string {
	files := map[string]string{}
	for v, commit := range commits {
		files[Version(v).CommitPath()] = commit
	}
	return files
}

func snapshotOf(t testing.TB, d *Dir, v Version) *Snapshot {
	s, err := d.Snapshot(t.Context(), v, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// rawPaths returns the live files and the tombstones.
func rawPaths(t testing.TB, s *Snapshot) (live, removed []string) {
	for a, err := range s.Adds() {
		require.NoError(t, err)
		live = append(live, a.RawPath)
	}
	for r, err := range s.Tombstones() {
		require.NoError(t, err)
		removed = append(removed, r.RawPath)
	}
	return live, removed
}

func TestSnapshotReconciles(t *testing.T) {
	for _, c := range []struct {
		name          string
		commits       []string
		live, removed []string
	}{
		{"nothing", []string{begin}, nil, nil},
		{"order of decoded paths", []string{begin + addOf("b") + addOf("%62a") + addOf("a%2Fz") + addOf("c")}, []string{"a%2Fz", "b", "%62a", "c"}, nil},
		{"removed", []string{begin + addOf("a") + addOf("b"), removeOf("a")}, []string{"b"}, []string{"a"}},
		{"added again", []string{begin + addOf("a"), removeOf("a"), addOf("a")}, []string{"a"}, nil},
		{"order within a commit means nothing", []string{begin + addOf("a"), addOf("a") + removeOf("a")}, []string{"a"}, nil},
		{"added twice", []string{begin + addOf("a"), addOf("a") + addOf("a")}, []string{"a"}, nil},
		{"tombstone of nothing", []string{begin + addOf("a"), removeOf("s3://b/c")}, []string{"a"}, []string{"s3://b/c"}},
		{"keys are the paths as stated", []string{begin + addOf("a"), removeOf("%61")}, []string{"a"}, []string{"%61"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDir(t, logFrom(c.commits...))
			live, removed := rawPaths(t, snapshotOf(t, d, Version(len(c.commits)-1)))
			assert.Equal(t, c.live, live)
			assert.Equal(t, c.removed, removed)
		})
	}
}

func TestSnapshotValues(t *testing.T) {
	d := newDir(t, logFrom(
		`{"commitInfo":{"inCommitTimestamp":7}}`+begin+addOf("a")+
			`{"txn":{"appId":"x","version":9007199254740993}}{"txn":{"appId":"y","version":1}}
			{"domainMetadata":{"domain":"e","configuration":"1","removed":false}}{"domainMetadata":{"domain":"d","configuration":"1","removed":false}}`,
		`{"commitInfo":{"inCommitTimestamp":8}}{"txn":{"appId":"y","version":2}}{"domainMetadata":{"domain":"d","configuration":"","removed":true}}
		{"protocol":{"minReaderVersion":1,"minWriterVersion":4}}{"unknown":{"a":1}}{"cdc":{"path":"c"}}`))
	s := snapshotOf(t, d, 1)
	assert.Equal(t, int64(8), *s.InCommitTimestamp)
	assert.Equal(t, &Protocol{MinReaderVersion: 1, MinWriterVersion: 4}, s.Protocol)
	assert.Equal(t, &Metadata{ID: "t", Configuration: map[string]string{}, SchemaString: "{}", PartitionColumns: []string{"p"}}, s.Metadata)
	assert.Nil(t, s.Base)
	txns, err := gather(s.Transactions())
	require.NoError(t, err)
	assert.Equal(t, []Transaction{
		{"x", 9007199254740993, []byte(`{"appId":"x","version":9007199254740993}`)},
		{"y", 2, []byte(`{"appId":"y","version":2}`)},
	}, txns)
	domains, err := gather(s.Domains())
	require.NoError(t, err)
	assert.Equal(t, []Domain{{"e", []byte(`{"domain":"e","configuration":"1","removed":false}`)}}, domains)
	adds, err := gather(s.Adds())
	require.NoError(t, err)
	require.Len(t, adds, 1)
	assert.Equal(t, int64(9007199254740993), adds[0].Size)
	assert.Equal(t, int64(1), adds[0].Modified)
	assert.JSONEq(t, strings.TrimSuffix(strings.TrimPrefix(addOf("a"), `{"add":`), "}\n"), string(adds[0].JSON))
	assert.Equal(t, int64(7), *snapshotOf(t, d, 0).InCommitTimestamp)
}

func TestSnapshotRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		commits []string
		want    error
	}{
		{"no log", nil, ErrNoTable},
		{"no such version", []string{begin}, fs.ErrNotExist},
		{"no protocol", []string{addOf("a"), addOf("b")}, ErrCorrupt},
		{"cut short", []string{begin, `{"add":{"pa`}, ErrIncomplete},
		{"no path", []string{begin, `{"add":{}}`}, ErrCorrupt},
		{"unknown reader feature", []string{begin, `{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["x"],"writerFeatures":["x"]}}`}, ErrUnsupported},
		{"two protocols at once", []string{begin, `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}{"protocol":{"minReaderVersion":1,"minWriterVersion":3}}`}, ErrCorrupt},
		{"metadata elsewhere", []string{begin, `{"checkpoint":{"path":"metadata/x"}}`}, ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := newDir(t, logFrom(c.commits...)).Snapshot(t.Context(), 1, nil)
			require.ErrorIs(t, err, c.want)
			assert.Nil(t, s)
		})
	}
	for path, want := range map[string]error{"/abs": ErrUnsupported, "s3://b/a": ErrUnsupported, "../a": ErrCorrupt, "_delta_log/a": ErrCorrupt} {
		s := snapshotOf(t, newDir(t, logFrom(begin+addOf("a")+addOf(path))), 0)
		_, err := gather(s.Adds())
		require.ErrorIs(t, err, want, path)
		_, err = gather(s.LiveFiles())
		require.ErrorIs(t, err, want, path)
	}
}

// TestSnapshotSpills gives a state almost no memory: it comes out the same.
func TestSnapshotSpills(t *testing.T) {
	commits := []string{begin}
	for v := range 50 {
		commit := ""
		for i := range 20 {
			commit += addOf(fmt.Sprintf("f%d-%d", i, v))
			if v > 0 {
				commit += removeOf(fmt.Sprintf("f%d-%d", i, v-1))
			}
		}
		commits = append(commits, commit)
	}
	d := newDir(t, logFrom(commits...))
	want := snapshotOf(t, d, 50)
	wantLive, wantRemoved := rawPaths(t, want)
	require.Len(t, wantLive, 20)
	require.Len(t, wantRemoved, 49*20)
	temp := t.TempDir()
	s, err := d.Snapshot(t.Context(), 50, &SnapshotOptions{Memory: 2000, TempDir: temp})
	require.NoError(t, err)
	require.NotEmpty(t, s.state.runs)
	live, removed := rawPaths(t, s)
	assert.Equal(t, wantLive, live)
	assert.Equal(t, wantRemoved, removed)
	assert.Equal(t, stateOf(t, want), stateOf(t, s))
	files, err := gather(s.LiveFiles())
	require.NoError(t, err)
	assert.Equal(t, wantLive, files)
	for range s.LiveFiles() { // one that is broken off leaves nothing
		break
	}
	require.NoError(t, s.Close())
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// TestSnapshotOfALogOfLinks: a commit may be a link to elsewhere in the table, and
// to nowhere outside it.
func TestSnapshotOfALogOfLinks(t *testing.T) {
	d := newDir(t, map[string]string{Version(0).CommitPath(): begin, "kept/1.json": addOf("a")})
	second := filepath.Join(d.folder, Version(1).CommitPath())
	require.NoError(t, os.Symlink("../kept/1.json", second))
	live, _ := rawPaths(t, snapshotOf(t, d, 1))
	require.Equal(t, []string{"a"}, live)

	outside := filepath.Join(t.TempDir(), "1.json")
	require.NoError(t, os.WriteFile(outside, []byte(addOf("b")), 0o644))
	require.NoError(t, os.Remove(second))
	require.NoError(t, os.Symlink(outside, second))
	_, err := d.Snapshot(t.Context(), 1, nil)
	require.ErrorContains(t, err, "escapes")
}

// TestSnapshotOfTheLastVersions: nothing overflows at the end of the numbers.
func TestSnapshotOfTheLastVersions(t *testing.T) {
	var checkpoint bytes.Buffer
	_, err := snapshotOf(t, newDir(t, logFrom(begin+addOf("a"))), 0).WriteCheckpoint(&checkpoint)
	require.NoError(t, err)
	const from = Version(math.MaxInt64 - 12)
	for tip := from; tip < math.MaxInt64; tip++ {
		files := map[string]string{from.CheckpointPath(): checkpoint.String(), from.CommitPath(): begin + addOf("a")}
		for v := from + 1; v <= tip; v++ {
			files[v.CommitPath()] = addOf(fmt.Sprint(v))
		}
		live, _ := rawPaths(t, snapshotOf(t, newDir(t, files), tip))
		require.Len(t, live, int(tip-from)+1)
	}
}
