package remote_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// What retention gave up nobody can push again: errors say so, and what is the oldest.
func TestHintsBelowTheFloor(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(4, 3, 100)
	source.pushSingly(store)
	behind := restored(t, store)
	source.churn(5, 3, 100)
	source.pushSingly(store)
	source.base(store) // of version 8
	source.churn(3, 3, 100)
	source.pushSingly(store)
	require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", 2))
	pruneAll(t, store)
	restore := func(opts *remote.Options) error {
		_, err := replicator(t, filepath.Join(t.TempDir(), "replica"), store, opts).Init(t.Context())
		return err
	}
	old, pinned := deltalog.Version(5), deltalog.Version(2)
	_, drilled := remote.Drill(t.Context(), store, nil, remote.DrillOptions{Version: &old, Folder: t.TempDir()})
	for name, err := range map[string]error{
		"init": restore(&remote.Options{Target: &old}), "time": restore(&remote.Options{TargetTime: time.UnixMilli(1)}),
		"pin": storeOnly(t, store, nil).Pin(t.Context(), "late", old), "drill": drilled,
	} {
		require.ErrorIs(t, err, remote.ErrGap, name)
		require.ErrorContains(t, err, "the oldest is version 8, of 20", name)
		require.ErrorContains(t, err, "; retention (prune) gave up what was below (ask for that version, ", name)
	}
	require.NoError(t, restore(&remote.Options{Target: &pinned}))

	_, pulled := replicator(t, behind, store, nil).Pull(t.Context())
	_, carriedOn := replicator(t, behind, store, nil).Init(t.Context())
	for _, err := range []error{pulled, carriedOn} {
		require.ErrorIs(t, err, remote.ErrGap)
		require.ErrorContains(t, err, "what is below version 8 was pruned (what retention gave up cannot be had again; ")
	}
	_, err := replicator(t, behind, store, &remote.Options{AcrossGap: true}).Pull(t.Context()) // as the hint says
	require.NoError(t, err)

	newest := deltalog.Version(77)
	require.ErrorContains(t, restore(&remote.Options{Target: &newest}), "it was not pushed yet: version 77: the newest is 11 (")
}

func TestHintOfATimeBeforeTheFirstVersion(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.mustPush(store)
	_, err := replicator(t, filepath.Join(t.TempDir(), "replica"), store, &remote.Options{TargetTime: time.UnixMilli(1)}).Init(t.Context())
	require.ErrorIs(t, err, remote.ErrGap)
	require.ErrorContains(t, err, "no version is as old as 1970-01-01T00:00:00.001Z: the oldest is version 0, of 20")
	require.NotContains(t, err.Error(), "retention")
}

// The hint of a damaged bundle is the way to mend it.
func TestHintOfADamagedBundle(t *testing.T) {
	source := newPond(t)
	store, dir := folderStore(t)
	source.churn(5, 3, 100)
	source.pushSingly(store)
	bundle := filepath.Join(dir, "backups", "version-000002", "bundle.tar.zst")
	b, err := os.ReadFile(bundle)
	require.NoError(t, err)
	b[len(b)/3] ^= 1
	require.NoError(t, os.WriteFile(bundle, b, 0o600))
	_, err = replicator(t, filepath.Join(t.TempDir(), "replica"), store, nil).Init(t.Context())
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, "remove the object and backups/head.json and push again from a table that has its versions")
	require.NoError(t, os.Remove(bundle))
	require.NoError(t, os.Remove(filepath.Join(dir, "backups", "head.json")))
	source.mustPush(store)
	requireSame(t, source.dir, restored(t, store))
}

func TestHintsOfALostFile(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.mustPush(store)
	source.append("1")
	require.NoError(t, os.Remove(filepath.Join(source.dir, "part-00001.parquet")))
	_, err := source.push(store)
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, "push with --allow-missing (Options.AllowMissing)")
}

func TestHintOfNoBucket(t *testing.T) {
	err := &remote.Error{Op: "push", Err: storage.ErrNoBucket}
	require.ErrorIs(t, err, remote.ErrNoBucket)
	require.Contains(t, err.Error(), "create the bucket")
}

// Whose table it is says what went wrong where a push meets the store of another one.
func TestPushIntoTheStoreOfAnotherTable(t *testing.T) {
	source, other, store := newPond(t), newPond(t), storage.NewMemory()
	source.append("ours")
	source.mustPush(store)
	other.append("theirs")
	_, err := other.push(store)
	require.ErrorIs(t, err, remote.ErrDiverged)
	ids := `(table id "pond-` + filepath.Base(other.dir) + `" here, "pond-` + filepath.Base(source.dir) + `" in the store)`
	require.ErrorContains(t, err, ids)
	other.append("more")
	_, err = other.push(store)
	require.ErrorContains(t, err, ids, "the id is that of the table, not of its newest commit")

	copied := restored(t, store) // two histories of one table
	source.append("here")
	source.mustPush(store)
	went := &pond{t: t, dir: copied, next: 1}
	went.append("there")
	_, err = went.push(store)
	require.ErrorIs(t, err, remote.ErrDiverged)
	require.NotContains(t, err.Error(), "table id")
}

func TestHintOfRepairDoesNotSendToRepair(t *testing.T) {
	source, other, store := newPond(t), newPond(t), storage.NewMemory()
	source.append("ours")
	source.mustPush(store)
	other.append("theirs")
	_, err := other.push(store)
	require.ErrorContains(t, err, "repair removes)")
	_, err = replicator(t, other.dir, store, nil).Repair(t.Context(), true)
	require.ErrorIs(t, err, remote.ErrDiverged)
	require.ErrorContains(t, err, "(nothing was removed; this table is not that of the store: ")
	require.NotContains(t, err.Error(), "repair removes")
}

func TestHintOfAnotherSource(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.mustPush(store)
	_, err := replicator(t, filepath.Join(t.TempDir(), "replica"), store, &remote.Options{SourceID: "another"}).Init(t.Context())
	require.ErrorIs(t, err, remote.ErrDiverged)
	require.ErrorContains(t, err, `not of "another": it is another one than SourceID names (nothing was changed; give the URL of the store that Options.SourceID`)
}

// Nobody can push what lies in a recorded gap: the versions beside it are those to ask for.
func TestHintOfATargetInAGap(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 3, 100)
	source.mustPush(store)
	source.churn(8, 3, 100)
	source.cleanUp(8)
	source.mustPush(store)
	in := deltalog.Version(5)
	_, restored := replicator(t, filepath.Join(t.TempDir(), "replica"), store, &remote.Options{Target: &in}).Init(t.Context())
	for name, err := range map[string]error{"init": restored, "pin": storeOnly(t, store, nil).Pin(t.Context(), "x", in)} {
		require.ErrorIs(t, err, remote.ErrGap, name)
		require.ErrorContains(t, err, "version 5 lies in the gap before version 8, above version 2: it was gone at the source before it was pushed (ask for one of these two, ", name)
		require.NotContains(t, err.Error(), "push the missing", name)
	}
}

// What was pushed and lost, or given up, was not gone at the source.
func TestHintOfATargetBesideAGap(t *testing.T) {
	t.Run("lost below a pin", func(t *testing.T) {
		source, store := newPond(t), storage.NewMemory()
		for range 5 {
			source.append("x")
		}
		source.pushSingly(store)
		require.NoError(t, storeOnly(t, store, nil).Pin(t.Context(), "audit", 4))
		for range 5 {
			source.append("x")
		}
		source.pushSingly(store)
		source.base(store)
		pruneAll(t, store)
		lose(t, store, bundleOf(3))
		requireLostTarget(t, store, 4, "version 4: the versions without a gap before it end at 2, the next begin at 9")
	})
	t.Run("pushed although a gap counts it, and lost", func(t *testing.T) {
		source, store, whole := newPond(t), storage.NewMemory(), storage.NewMemory()
		for range 3 {
			source.append("x")
		}
		source.pushSingly(store)
		for range 6 {
			source.append("x")
		}
		source.pushSingly(whole)
		source.cleanUp(8)
		source.mustPush(store)
		for _, v := range []deltalog.Version{3, 5} {
			r, err := whole.Open(t.Context(), bundleOf(v), 0, -1)
			require.NoError(t, err)
			require.NoError(t, store.Create(t.Context(), bundleOf(v), r, -1))
			require.NoError(t, r.Close())
		}
		requireLostTarget(t, store, 5, "version 5: the versions without a gap before it end at 3, the next begin at 8")
	})
}

func requireLostTarget(t *testing.T, store storage.Store, target deltalog.Version, says string) {
	t.Helper()
	err := initIn(t, filepath.Join(t.TempDir(), "replica"), store, remote.Options{Target: &target})
	require.ErrorIs(t, err, remote.ErrGap)
	require.ErrorContains(t, err, says)
	require.ErrorContains(t, err, "push the missing versions again")
	require.NotContains(t, err.Error(), "gone at the source")
	require.NotContains(t, err.Error(), "nobody can push it")
}

// A base needs all that is live, so the hint of a push would not help.
func TestHintOfABaseOfALostFile(t *testing.T) {
	store := storage.NewMemory()
	source := pondWithALoss(t, store)
	_, err := replicator(t, source.dir, store, nil).Base(t.Context())
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, "part-00001.parquet")
	require.ErrorContains(t, err, "(no base was taken; put the file back, ")
	require.NotContains(t, err.Error(), "was pushed")
	require.Empty(t, keysWith(t, store, "base"))

	report, err := replicator(t, source.dir, store, &remote.Options{AllowMissing: true}).Base(t.Context()) // as the hint says
	require.NoError(t, err)
	require.Equal(t, 1, report.Absent)

	source.commit(remove("part-00001.parquet"))
	source.mustPush(store)
	_, err = replicator(t, source.dir, store, nil).Base(t.Context()) // likewise
	require.NoError(t, err)
}

func TestInitNamesWhatIsInTheWay(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.append("0")
	source.mustPush(store)
	restore := func(dir string) error {
		_, err := replicator(t, dir, store, nil).Init(t.Context())
		require.ErrorIs(t, err, remote.ErrNotEmpty)
		return err
	}
	files := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(files, "_delta_log"), 0o755))
	require.ErrorContains(t, restore(files), `it holds files that are no table, such as "_delta_log"`)
	require.NoError(t, os.WriteFile(filepath.Join(files, "notes.txt"), nil, 0o600))
	require.ErrorContains(t, restore(files), `it holds files that are no table, such as "notes.txt"`)

	other := newPond(t)
	other.append("theirs")
	require.ErrorContains(t, restore(other.dir), `it holds another table (table id "pond-`+filepath.Base(other.dir)+`" here, "pond-`+filepath.Base(source.dir)+`" in the store): commit 0 has sha256 `)

	begun := t.TempDir()
	require.NoError(t, openTable(t, begun).SetMarker(t.Context(), []byte(`{"format":1,"lineage":"elsewhere","target":3}`)))
	require.ErrorContains(t, restore(begun), "it holds an unfinished init of another store, lineage elsewhere")
}

// An error is an *Error also where its context ended.
func TestErrorOfAContextThatEnded(t *testing.T) {
	source := newPond(t)
	source.append("0")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := replicator(t, source.dir, storage.NewMemory(), nil).Push(ctx)
	require.ErrorIs(t, err, context.Canceled)
	var e *remote.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, "push", e.Op)
}
