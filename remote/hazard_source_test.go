package remote_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// The numbers are those of the table "Hazards" in docs/ARCHITECTURE.md.

// shakyTable is a table in which something happens when a file is opened.
type shakyTable struct {
	*deltalog.Dir
	opened func(path string, times int) error
	cut    string // the path of a file that is read one byte short
	times  map[string]int
}

func (s *shakyTable) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	if s.times == nil {
		s.times = map[string]int{}
	}
	s.times[path]++
	if s.opened != nil {
		if err := s.opened(path, s.times[path]); err != nil {
			return nil, 0, err
		}
	}
	f, size, err := s.Dir.OpenFile(ctx, path)
	if err == nil && path == s.cut {
		return struct {
			io.Reader
			io.Closer
		}{io.LimitReader(f, size-1), f}, size, nil
	}
	return f, size, err
}

func (s *shakyTable) push(t *testing.T, store storage.Reader) (remote.Report, error) {
	t.Helper()
	r, err := remote.New(s, store, &remote.Options{Concurrency: 1})
	require.NoError(t, err)
	return r.Push(t.Context())
}

// A file goes while the push reads it, as under VACUUM: it is looked into again,
// and counts as absent where the newest version does without.
func TestH03FileVanishesWhileItIsRead(t *testing.T) {
	for name, live := range map[string]bool{"dead": false, "live": true} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.append("zero")
			source.append("one")
			if !live {
				source.commit(remove("part-00001.parquet"))
			}
			table := &shakyTable{Dir: openTable(t, source.dir), opened: func(path string, _ int) error {
				if path != "part-00001.parquet" {
					return nil
				}
				err := os.Remove(filepath.Join(source.dir, path))
				if errors.Is(err, fs.ErrNotExist) {
					return nil
				}
				return err
			}}
			report, err := table.push(t, store)
			if live {
				require.ErrorIs(t, err, remote.ErrCorrupt)
				return
			}
			require.NoError(t, err)
			require.Equal(t, 1, report.Absent)
			requireSame(t, source.dir, restored(t, store))
		})
	}
}

// A read that ends early must not enter a bundle.
func TestH03ShortRead(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	table := &shakyTable{Dir: openTable(t, source.dir), cut: "part-00000.parquet"}
	_, err := table.push(t, store)
	require.Error(t, err)
	require.NotContains(t, objects(t, store), "backups/version-000000/bundle.tar.zst")
	table.cut = ""
	_, err = table.push(t, store)
	require.NoError(t, err)
	requireSame(t, source.dir, restored(t, store))
}

// What other writers are about to commit is not there yet, and what they commit
// meanwhile is for the next push.
func TestH04ConcurrentWriters(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.append("one")
	before := tree(t, source.dir)
	for _, path := range []string{
		"part-of-a-commit-to-come.parquet",
		"_delta_log/_staged_commits/00000000000000000002.2c2f.json",
		"_delta_log/.00000000000000000002.json.2c2f.tmp",
		"_delta_log/_commit_2c2f.json.tmp",
		"_delta_log/.tmp/00000000000000000002.json",
		"_delta_log/.00000000000000000001.json.crc",
	} {
		source.write(path, `{"commitInfo":{}}`)
	}
	committed := false
	r := replicator(t, source.dir, store, &remote.Options{Metadata: func(context.Context, deltalog.Version) (map[string]string, error) {
		if !committed {
			committed = true
			source.append("two")
		}
		return nil, nil
	}})
	report, err := r.Push(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, report.Versions, "up to where the log was when the push began")
	require.Equal(t, before, tree(t, restored(t, store)))
	report, err = r.Push(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, report.Versions)
}

// A half-written commit at the tip is not there yet; below the tip it is damage.
func TestH05HalfWrittenCommit(t *testing.T) {
	for name, half := range map[string]string{"empty": "", "cut": `{"add":{"path":"a",`} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			source.append("zero")
			source.write(source.next.CommitPath(), half)
			require.Equal(t, 1, source.mustPush(store).Versions)
			require.Zero(t, source.mustPush(store).Versions)

			source.next++
			source.append("two")
			_, err := source.push(store)
			require.ErrorIs(t, err, remote.ErrCorrupt)
			require.NotContains(t, objects(t, store), "backups/version-000001/bundle.tar.zst")

			source.next = 1
			source.append("one, whole now")
			require.Equal(t, 2, source.mustPush(store).Versions)
			requireSame(t, source.dir, restored(t, store))
		})
	}
}

// A log with a hole that no checkpoint covers stops the push.
func TestH06HoleInTheLog(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for range 4 {
		source.append("x")
	}
	require.NoError(t, os.Remove(filepath.Join(source.dir, deltalog.Version(2).CommitPath())))
	_, err := source.push(store)
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, "commit 2")
	require.NotContains(t, objects(t, store), "backups/version-000003/bundle.tar.zst")
}

// A table that was made anew at the path is refused, wherever its tip is.
func TestH07TableMadeAnew(t *testing.T) {
	for name, tip := range map[string]int{"behind": 2, "level": 4, "ahead": 7} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			for range 4 {
				source.append("first")
			}
			source.mustPush(store)
			before := objects(t, store)
			require.NoError(t, os.RemoveAll(filepath.Join(source.dir, deltalog.LogDir)))
			source.next = 0
			for range tip {
				source.append("second")
			}
			_, err := source.push(store)
			requireDiverged(t, err, before, objects(t, store))
		})
	}
}

// A path that comes back with other bytes, which the protocol forbids, never
// replaces those of an older version.
func TestH08PathReused(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	replica := restored(t, store)
	source.write("part-00000.parquet", "ZERO")
	source.commit(add("part-00000.parquet", "ZERO"))
	source.mustPush(store)
	before := tree(t, replica)
	_, err := replicator(t, replica, store, nil).Pull(t.Context())
	require.ErrorIs(t, err, deltalog.ErrConflict)
	require.Equal(t, before, tree(t, replica))
}

// A size in the log that is not that of the file changes nothing of the copy.
func TestH09StatedSizeIsWrong(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.write("a.parquet", "four")
	source.commit(append(begin("size"), add("a.parquet", "seventeen"))...)
	source.mustPush(store)
	requireSame(t, source.dir, restored(t, store))
}

// A file that a commit names several times is one file.
func TestH10FileNamedTwice(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.write("a b.parquet", "one")
	source.commit(append(begin("twice"), add("a%20b.parquet", "one"), add("a%20b.parquet", "one"), add("a b.parquet", "one"),
		action{"cdc": map[string]any{"path": "a%20b.parquet", "size": 3, "partitionValues": map[string]any{}, "dataChange": false}})...)
	report := source.mustPush(store)
	require.Equal(t, 2, report.Files, "and the commit")
	requireSame(t, source.dir, restored(t, store))
}

// A checkpoint without the commit of its version is no beginning for engines.
func TestH14OnlyACheckpoint(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(4, 2, 10)
	source.cleanUp(3)
	require.NoError(t, os.Remove(filepath.Join(source.dir, deltalog.Version(3).CommitPath())))
	_, err := source.push(store)
	require.ErrorIs(t, err, remote.ErrUnsupported)
	require.Empty(t, objects(t, store))

	source.churn(1, 2, 10)
	require.Equal(t, deltalog.Version(4), *source.mustPush(store).Base)
	requireSpan(t, restored(t, store), 4, 4)
}

// Whatever way a commit is written, its bytes arrive.
func TestH16OddTextTravelsVerbatim(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	for _, text := range []string{
		`{"commitInfo":{"operation":"NO FINAL NEWLINE"}}`,
		"{\"commitInfo\":{\"operation\":\"CRLF\"}}\r\n{\"txn\":{\"appId\":\"x\",\"version\":1}}\r\n",
		"\xef\xbb\xbf{\"commitInfo\":{\"operation\":\"BOM\"}}\n",
		"\n\n{\"commitInfo\":\n  {\"operation\":\n    \"PRETTY\"}\n}\n \t\n",
		`{"commitInfo":{"operation":"NUMBERS","n":9223372036854775807,"m":1e400}}` + "\n",
		`{"commitInfo":{"operation":"LONG","text":"` + strings.Repeat("x", 1<<20) + `"}}` + "\n",
	} {
		source.write(source.next.CommitPath(), text)
		source.next++
	}
	require.Equal(t, 7, source.mustPush(store).Versions)
	requireSame(t, source.dir, restored(t, store))
}

// A name that no file system takes stops the push before anything is stored.
func TestH22NameTooLong(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("zero")
	source.mustPush(store)
	before := objects(t, store)
	source.commit(add(strings.Repeat("n", 256)+"/f", "x"))
	_, err := source.push(store)
	require.ErrorIs(t, err, remote.ErrUnsupported)
	require.Equal(t, before, objects(t, store))
}

// A commit with many partition folders takes no more than its files.
func TestH23ManyPartitions(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	actions := begin("partitions")
	for i := range 1500 {
		path := filepath.Join("p="+strings.Repeat("0", i%7)+string(rune('a'+i%26)), "q="+deltalog.Version(i).String(), "f.parquet")
		source.write(path, "x")
		actions = append(actions, add(path, "x"))
	}
	source.commit(actions...)
	source.mustPush(store)
	dir := restored(t, store)
	assert.Equal(t, tree(t, source.dir), tree(t, dir))
}
