package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// folderStore is a store whose objects a test can damage.
func folderStore(t *testing.T) (storage.Store, string) {
	t.Helper()
	dir := t.TempDir()
	store, err := storage.OpenDir(dir)
	require.NoError(t, err)
	return store, dir
}

func verify(t *testing.T, dir string, store storage.Reader, opts remote.VerifyOptions) remote.Verification {
	t.Helper()
	r := storeOnly(t, store, nil)
	if dir != "" {
		r = replicator(t, dir, store, nil)
	}
	v, err := r.Verify(t.Context(), opts)
	require.NoError(t, err)
	require.NotZero(t, v.Duration)
	return v
}

// kinds are the findings as "kind key-or-path".
func kinds(v remote.Verification) []string {
	list := []string{}
	for _, f := range v.Findings {
		list = append(list, fmt.Sprint(f.Kind, " ", f.Key, f.Path))
	}
	return list
}

var bothDepths = []bool{false, true}

// What is whole is found to be, in every shape that a store can have.
func TestVerifyFindsNothingWrong(t *testing.T) {
	shapes := map[string]func(p *pond, store storage.Store){
		"versions one by one": func(p *pond, store storage.Store) { p.churn(12, 3, 2000); p.pushSingly(store) },
		"runs": func(p *pond, store storage.Store) {
			p.churn(12, 3, 2000)
			p.mustPush(store)
			p.churn(5, 3, 10)
			p.mustPush(store)
		},
		"bases": func(p *pond, store storage.Store) {
			for range 3 {
				p.churn(4, 3, 2000)
				p.pushSingly(store)
				_, err := replicator(p.t, p.dir, store, nil).Base(p.t.Context())
				require.NoError(p.t, err)
			}
		},
		"packs": func(p *pond, store storage.Store) { p.churn(30, 3, 100); p.pushSingly(store); consolidate(p.t, store) },
		"pruned packs": func(p *pond, store storage.Store) {
			p.churn(30, 3, 100)
			p.pushSingly(store)
			consolidate(p.t, store)
			prune(p.t, store, remote.PruneOptions{Delete: true, Grace: -1})
		},
		"pruned": func(p *pond, store storage.Store) {
			p.churn(10, 3, 2000)
			p.pushSingly(store)
			_, err := replicator(p.t, p.dir, store, nil).Base(p.t.Context())
			require.NoError(p.t, err)
			p.churn(10, 3, 2000)
			p.pushSingly(store)
			for range 2 {
				prune(p.t, store, remote.PruneOptions{KeepVersions: 3, Delete: true, Grace: -1})
			}
		},
	}
	for name, shape := range shapes {
		for _, data := range bothDepths {
			t.Run(fmt.Sprint(name, ", data ", data), func(t *testing.T) {
				source, store := newPond(t), storage.NewMemory()
				shape(source, store)
				v := verify(t, source.dir, store, remote.VerifyOptions{Data: data})
				require.NoError(t, v.Err())
				require.Empty(t, v.Findings)
				require.Equal(t, source.next-1, v.Last)
				require.EqualValues(t, source.next-1, v.Table.Version)
				require.True(t, v.Table.Identical)
				require.NotZero(t, v.Table.Files)
				require.Equal(t, name == "pruned", v.Table.Unknown > 0)
				if data {
					require.Equal(t, v.Bundles, v.Read)
				} else {
					require.Zero(t, v.Read)
				}
				require.Equal(t, []string{}, kinds(verify(t, "", store, remote.VerifyOptions{Data: data})), "without a table")
				require.True(t, verify(t, restored(t, store), store, remote.VerifyOptions{Data: data}).Table.Identical)
			})
		}
	}
}

// A gap that is recorded is no problem, but told.
func TestVerifyTellsOfGapsAndAbsentFiles(t *testing.T) {
	for _, data := range bothDepths {
		source, store := newPond(t), storage.NewMemory()
		source.churn(5, 3, 500)
		source.mustPush(store)
		source.churn(8, 3, 500)
		source.cleanUp(10)
		require.NoError(t, os.Remove(filepath.Join(source.dir, churnFile(10))))
		source.churn(3, 3, 500)
		source.mustPush(store)
		v := verify(t, source.dir, store, remote.VerifyOptions{Data: data})
		require.NoError(t, v.Err(), kinds(v))
		require.Contains(t, kinds(v), "gap backups/version-000010/bundle.tar.zst")
		absent := 0
		for _, f := range v.Findings {
			if f.Kind == remote.FindingAbsent {
				absent++
				require.Equal(t, churnFile(10), f.Path)
			}
		}
		require.NotZero(t, absent)
		require.True(t, v.Table.Identical)
	}
}

// damages are what can happen to the objects of 12 versions, a base of version 5 and
// one of version 11; found is what must be told of it, deep if only Data tells.
var damages = map[string]struct {
	do    func(t *testing.T, store string)
	found []string
	deep  bool
	class error
}{
	"a bundle is gone":         {remove12("000007/bundle.tar.zst"), []string{"missing backups/version-000007/bundle.tar.zst"}, false, remote.ErrGap},
	"the last bundle is gone":  {remove12("000011/bundle.tar.zst"), []string{"missing backups/version-000011/bundle.tar.zst"}, false, remote.ErrGap},
	"the first bundle is gone": {remove12("000000/bundle.tar.zst"), []string{"missing backups/version-000000/bundle.tar.zst"}, false, remote.ErrGap},
	"a bundle is cut short": {func(t *testing.T, store string) {
		require.NoError(t, os.Truncate(filepath.Join(store, "backups/version-000004/bundle.tar.zst"), 100))
	}, []string{"damaged backups/version-000004/bundle.tar.zst"}, false, remote.ErrCorrupt},
	"a bit of a file is flipped": {func(t *testing.T, store string) {
		flip(t, filepath.Join(store, "backups/version-000004/bundle.tar.zst"), 600)
	}, []string{"damaged backups/version-000004/bundle.tar.zst"}, true, remote.ErrCorrupt},
	"a base is damaged": {func(t *testing.T, store string) {
		flip(t, filepath.Join(store, "backups/version-000005/base.tar.zst"), 300)
	}, []string{"damaged backups/version-000005/base.tar.zst"}, false, remote.ErrCorrupt},
	"two bundles are swapped": {func(t *testing.T, store string) {
		a, b := filepath.Join(store, "backups/version-000003"), filepath.Join(store, "backups/version-000004")
		require.NoError(t, os.Rename(a, a+"x"))
		require.NoError(t, os.Rename(b, a))
		require.NoError(t, os.Rename(a+"x", b))
	}, []string{"damaged backups/version-000003/bundle.tar.zst", "damaged backups/version-000004/bundle.tar.zst"}, false, remote.ErrCorrupt},
	"a bundle is another history's": {func(t *testing.T, store string) {
		other := newPond(t)
		other.churn(6, 3, 900)
		foreign, dir := folderStore(t)
		other.pushSingly(foreign)
		key := "backups/version-000005/bundle.tar.zst"
		b, err := os.ReadFile(filepath.Join(dir, key))
		require.NoError(t, err)
		require.NoError(t, os.Remove(filepath.Join(store, key)))
		require.NoError(t, os.WriteFile(filepath.Join(store, key), b, 0o644))
	}, []string{"diverged backups/version-000005/bundle.tar.zst"}, false, remote.ErrDiverged},
	"several things": {func(t *testing.T, store string) {
		remove12("000002/bundle.tar.zst")(t, store)
		remove12("000011/base.tar.zst")(t, store)
		require.NoError(t, os.Truncate(filepath.Join(store, "backups/version-000008/bundle.tar.zst"), 10))
	}, []string{"missing backups/version-000002/bundle.tar.zst", "damaged backups/version-000008/bundle.tar.zst"}, false, remote.ErrCorrupt},
}

func remove12(name string) func(t *testing.T, store string) {
	return func(t *testing.T, store string) {
		require.NoError(t, os.Remove(filepath.Join(store, "backups/version-"+name)))
	}
}

func flip(t *testing.T, file string, at int64) {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	b[at] ^= 1
	require.NoError(t, os.Remove(file))
	require.NoError(t, os.WriteFile(file, b, 0o644))
}

func TestVerifyNamesWhatIsWrong(t *testing.T) {
	for name, c := range damages {
		t.Run(name, func(t *testing.T) {
			source := newPond(t)
			store, dir := folderStore(t)
			for range 2 {
				source.churn(6, 3, 1000)
				source.pushSingly(store)
				_, err := replicator(t, source.dir, store, nil).Base(t.Context())
				require.NoError(t, err)
			}
			c.do(t, dir)
			for _, data := range bothDepths {
				v := verify(t, "", store, remote.VerifyOptions{Data: data})
				if c.deep && !data {
					require.NoError(t, v.Err())
					continue
				}
				require.Subset(t, kinds(v), c.found, "data %t", data)
				require.ErrorIs(t, v.Err(), c.class)
				require.NotZero(t, v.Problems())
			}
		})
	}
}

// A base that refers to a bundle which is gone, or which is another one, is of no use.
func TestVerifyFollowsTheReferencesOfBases(t *testing.T) {
	source := newPond(t)
	store, dir := folderStore(t)
	source.churn(6, 3, 1000)
	source.pushSingly(store)
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.NoError(t, err)
	source.churn(6, 3, 1000)
	source.pushSingly(store)
	for range 2 {
		prune(t, store, remote.PruneOptions{KeepVersions: 3, Delete: true, Grace: -1})
	}
	require.Empty(t, verify(t, "", store, remote.VerifyOptions{}).Findings)
	remove12("000003/bundle.tar.zst")(t, dir) // below the floor; the base needs its file
	v := verify(t, "", store, remote.VerifyOptions{})
	require.Len(t, v.Findings, 1, kinds(v))
	require.Equal(t, "missing backups/version-000003/bundle.tar.zst"+churnFile(3), kinds(v)[0])
	require.ErrorIs(t, v.Err(), remote.ErrGap)
}

// What another history left inside a run, or an upload that was cut off left above
// the end, is told and is no problem.
func TestVerifyTellsOfLeftovers(t *testing.T) {
	source, other := newPond(t), newPond(t)
	store, dir := folderStore(t)
	source.churn(10, 3, 500)
	source.mustPush(store) // one run
	foreign, foreignDir := folderStore(t)
	other.churn(14, 3, 400)
	other.pushSingly(foreign)
	leave := func(version string) {
		t.Helper()
		require.NoError(t, os.CopyFS(filepath.Join(dir, "backups/version-"+version), os.DirFS(filepath.Join(foreignDir, "backups/version-"+version))))
	}
	leave("000004")
	leave("000012")
	for _, data := range bothDepths {
		v := verify(t, source.dir, store, remote.VerifyOptions{Data: data})
		require.NoError(t, v.Err())
		require.Equal(t, []string{"leftover backups/version-000004/bundle.tar.zst", "leftover backups/version-000012/bundle.tar.zst"}, kinds(v))
		require.True(t, v.Table.Identical)
	}
	leave("000010") // this one is in the way of the next push
	v := verify(t, source.dir, store, remote.VerifyOptions{})
	require.ErrorIs(t, v.Err(), remote.ErrDiverged)
	require.Contains(t, kinds(v), "diverged backups/version-000010/bundle.tar.zst")
}

func TestVerifyComparesTheTable(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(8, 3, 1000)
	source.mustPush(store)
	change := func(name string, f func(dir string)) string {
		dir := restored(t, store)
		f(dir)
		return dir
	}
	live, dead, log := churnFile(7), churnFile(2), "_delta_log/00000000000000000003.json"
	for name, c := range map[string]struct {
		do    func(dir string)
		found []string
		deep  bool
	}{
		"a live file is gone": {func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, live))) }, []string{"missing " + live}, false},
		"an old file is gone": {func(dir string) { require.NoError(t, os.Remove(filepath.Join(dir, dead))) }, []string{}, false},
		"a file is longer": {func(dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, live), make([]byte, 1001), 0o644))
		}, []string{"different " + live}, false},
		"a file is another": {func(dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, live), make([]byte, 1000), 0o644))
		}, []string{"different " + live}, true},
		"there is a file more":  {func(dir string) { require.NoError(t, os.WriteFile(filepath.Join(dir, "x=0/new.parquet"), nil, 0o644)) }, []string{"extra x=0/new.parquet"}, false},
		"a commit has its time": {func(dir string) { require.NoError(t, os.Chtimes(filepath.Join(dir, log), time.Now(), time.Now())) }, []string{"time " + log}, false},
		"a commit is another": {func(dir string) {
			require.NoError(t, os.WriteFile(filepath.Join(dir, log), []byte("{\"commitInfo\":{}}\n"), 0o644))
		}, []string{"diverged " + log}, false},
		"hidden and log's files": {func(dir string) { require.NoError(t, os.WriteFile(filepath.Join(dir, ".x.crc"), nil, 0o644)) }, []string{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := change(name, c.do)
			for _, data := range bothDepths {
				v := verify(t, dir, store, remote.VerifyOptions{Data: data})
				if c.deep && !data {
					require.True(t, v.Table.Identical)
					continue
				}
				require.Subset(t, kinds(v), c.found)
				same := len(c.found) == 0 || c.found[0] == "time "+log
				require.Equal(t, same, v.Table.Identical, kinds(v))
				if same {
					require.NoError(t, v.Err())
				}
			}
		})
	}
	source.churn(2, 3, 10)
	v := verify(t, source.dir, store, remote.VerifyOptions{})
	require.NoError(t, v.Err(), "being ahead is no problem")
	require.EqualValues(t, 2, v.Table.Ahead)
	require.False(t, v.Table.Identical)
	replica := restored(t, store)
	source.mustPush(store)
	v = verify(t, replica, store, remote.VerifyOptions{})
	require.EqualValues(t, 2, v.Table.Behind)
	require.NoError(t, v.Err())
}

// limited is a store that stops to be available after so many reads.
type limited struct {
	storage.Reader
	left atomic.Int64
}

var errOver = errors.New("the connection is over")

func (s *limited) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if s.left.Add(-1) < 0 {
		return nil, errOver
	}
	return s.Reader.Open(ctx, key, off, n)
}

func TestVerifyGoesOnWhereItWasCutOff(t *testing.T) {
	source := newPond(t)
	store, _ := folderStore(t)
	source.churn(30, 3, 1000)
	source.pushSingly(store)
	opts := remote.VerifyOptions{Data: true, State: filepath.Join(t.TempDir(), "state")}
	var read, runs int64
	for budget := int64(20); ; budget += 25 {
		failing := &limited{Reader: store}
		failing.left.Store(budget)
		r, err := remote.New(openTable(t, source.dir), failing, nil)
		require.NoError(t, err)
		v, err := r.Verify(t.Context(), opts)
		require.Equal(t, read, v.Resumed)
		read += v.Read
		runs++
		if err == nil {
			require.NoError(t, v.Err())
			require.True(t, v.Table.Identical)
			break
		}
		require.ErrorIs(t, err, errOver)
		f, err := os.OpenFile(opts.State, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteString(`{"key":"backups/ver`) // killed in the middle of a line
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	require.Greater(t, runs, int64(1))
	require.EqualValues(t, 30, read, "each was read once")
	require.NoFileExists(t, opts.State, "all was looked at")

	for name, content := range map[string]string{"another store": `{"format":1,"lineage":"x"}` + "\n", "no state": "something dear", "longer": fmt.Sprintf("%0200d", 1)} {
		require.NoError(t, os.WriteFile(opts.State, []byte(content), 0o600))
		_, err := storeOnly(t, store, nil).Verify(t.Context(), opts)
		require.ErrorIs(t, err, fs.ErrExist, name)
		kept, rerr := os.ReadFile(opts.State)
		require.NoError(t, rerr)
		require.Equal(t, content, string(kept), "%s: it is left alone", name)
	}
}

// A commit may need a file that no bundle has, though every bundle is whole.
func TestVerifyFindsFilesThatNobodyBrought(t *testing.T) {
	source := newPond(t)
	store, dir := folderStore(t)
	vector := func(path, content string) action {
		a := add(path, content)
		a["add"].(map[string]any)["deletionVector"] = map[string]any{"storageType": "i", "pathOrInlineDv": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", "sizeInBytes": 40, "cardinality": 6}
		return a
	}
	source.append("zero")
	source.append("one")
	source.commit(remove("part-00001.parquet"), vector("part-00001.parquet", "one")) // keeps the file
	source.pushSingly(store)
	require.Empty(t, verify(t, source.dir, store, remote.VerifyOptions{Data: true}).Findings)

	// A bundle with the right commit, and without the file that it brought.
	codec, err := bundle.NewCodec(nil)
	require.NoError(t, err)
	name := filepath.Join(dir, "backups/version-000001/bundle.tar.zst")
	whole, err := os.Open(name)
	require.NoError(t, err)
	m, err := codec.Decode(t.Context(), whole, func(_ context.Context, _ bundle.Member, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
	require.NoError(t, err)
	require.NoError(t, whole.Close())
	m.Versions[0].Files = nil
	require.NoError(t, os.Remove(name))
	lame, err := os.Create(name)
	require.NoError(t, err)
	_, err = codec.Encode(t.Context(), lame, m, func(_ context.Context, path string) (io.ReadCloser, int64, error) {
		f, err := os.Open(filepath.Join(source.dir, path))
		return f, m.Versions[0].Commit.Size, err
	})
	require.NoError(t, err)
	require.NoError(t, lame.Close())
	v := verify(t, "", store, remote.VerifyOptions{Data: true})
	require.Equal(t, []string{"missing part-00001.parquet", "missing part-00001.parquet"}, kinds(v), "versions 1 and 2 need it")
	require.ErrorIs(t, v.Err(), remote.ErrGap)
}

// The head is only a hint: without it Verify finds the same.
func TestVerifyOfDamageWithoutAHead(t *testing.T) {
	for _, data := range bothDepths {
		source := newPond(t)
		var store storage.Store = storage.NewMemory()
		source.churn(6, 3, 100)
		source.pushSingly(store)
		for _, v := range []int{2, 4} {
			spoil(t, store, fmt.Sprintf("backups/version-%06d/bundle.tar.zst", v), func(b []byte) []byte { b[len(b)/2] ^= 1; b[len(b)-100] ^= 1; return b })
		}
		damaged := func() (n int) {
			v := verify(t, "", store, remote.VerifyOptions{Data: data})
			require.ErrorIs(t, v.Err(), remote.ErrCorrupt)
			for _, f := range v.Findings {
				if f.Kind == remote.FindingDamaged {
					n++
				}
			}
			return n
		}
		require.Equal(t, 2, damaged())
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
		require.Equal(t, 2, damaged())
	}
}

// Beyond a gap it is the base that says what is absent.
func TestVerifyTellsOfWhatABaseSaysIsAbsent(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.mustPush(store)
	source.append("1")
	v := source.append("2")
	source.commit(remove("part-00001.parquet"))
	source.cleanUp(v)
	require.NoError(t, os.Remove(filepath.Join(source.dir, "part-00001.parquet")))
	require.Equal(t, 1, source.mustPush(store).Absent)
	for _, data := range []bool{false, true} {
		found := verify(t, "", store, remote.VerifyOptions{Data: data})
		require.NoError(t, found.Err())
		var absent []string
		for _, f := range found.Findings {
			if f.Kind == remote.FindingAbsent {
				absent = append(absent, f.Key+" "+f.Path)
			}
		}
		require.Equal(t, []string{baseOf(v) + " part-00001.parquet"}, absent)
	}
}
