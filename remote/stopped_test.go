package remote_test

import (
	"context"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/atomicfile"
	"github.com/pondworks/sluice/internal/disktest"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

func ptr(v deltalog.Version) *deltalog.Version { return &v }

// cutAt runs what works in dir and stops it for good before the first step that is so: from
// then on nothing changes there any more, as when the process is killed.
func cutAt(t *testing.T, dir string, at func(*atomicfile.Step) bool, run func() error) {
	t.Helper()
	var dead atomic.Bool
	stop := atomicfile.Intercept(func(s *atomicfile.Step, do func() error) error {
		if strings.HasPrefix(s.Path(), dir) && (dead.Load() || at(s)) {
			dead.Store(true)
			return errStopped
		}
		return do()
	})
	err := run()
	stop()
	require.True(t, dead.Load(), "it was not cut off")
	require.Error(t, err)
}

// commitOf: the commit of v gets its name.
func commitOf(v deltalog.Version) func(*atomicfile.Step) bool {
	return func(s *atomicfile.Step) bool {
		return s.ToName != "" && strings.HasSuffix(s.ToPath(), v.CommitPath())
	}
}

func initIn(t *testing.T, dir string, store storage.Reader, o remote.Options) error {
	_, err := replicator(t, dir, store, &o).Init(t.Context())
	return err
}

func pullIn(t *testing.T, dir string, store storage.Reader, o remote.Options) error {
	_, err := replicator(t, dir, store, &o).Pull(t.Context())
	return err
}

// requireVersion asserts that the table is one, at that version, with its live files.
func requireVersion(t *testing.T, source *pond, dir string, v deltalog.Version) {
	t.Helper()
	tip, err := openTable(t, dir).Tip(t.Context())
	require.NoError(t, err)
	require.Equal(t, v, tip)
	require.Equal(t, liveFiles(t, source.dir, v), liveFiles(t, dir, v))
}

type hooked struct {
	storage.Store
	create, open       string // keys
	beforeCreate       func()
	beforeOpen         func()
	createOnce, opened sync.Once
	down               atomic.Bool
	lists              bool   // what is down
	key                string // likewise
}

func (s *hooked) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if s.beforeCreate != nil && strings.Contains(key, s.create) {
		s.createOnce.Do(s.beforeCreate)
	}
	return s.Store.Create(ctx, key, r, size)
}

func (s *hooked) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if s.down.Load() && s.key != "" && strings.Contains(key, s.key) {
		return nil, storage.ErrUnavailable
	}
	if s.beforeOpen != nil && strings.Contains(key, s.open) {
		s.opened.Do(s.beforeOpen)
	}
	return s.Store.Open(ctx, key, off, n)
}

func (s *hooked) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	if s.down.Load() && s.lists {
		return func(yield func(storage.Info, error) bool) { yield(storage.Info{}, storage.ErrUnavailable) }
	}
	return s.Store.List(ctx, prefix, after)
}

// A live init was stopped between checkpoint and commit, the next one is to a lower version:
// readers would begin at that checkpoint.
func TestInitBelowACheckpointThatIsLeft(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(7, 2, 300)
	source.pushSingly(store)
	source.base(store) // 6
	dir := filepath.Join(disktest.Folder(t), "replica")
	cutAt(t, dir, commitOf(6), func() error { return initIn(t, dir, store, remote.Options{History: remote.HistoryLive}) })
	if err := initIn(t, dir, store, remote.Options{Target: ptr(4)}); err == nil {
		requireVersion(t, source, dir, 4)
	}
}

// The floor rises above the target while the init is under way.
func TestFloorRisesAboveTheTarget(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(3, 2, 300)
	source.commitLarge(6, 2000) // 3, in parts
	source.churn(4, 2, 300)
	source.deadLarge(3, 6) // 8
	require.NoError(t, source.pushDivided(store))
	require.NotEmpty(t, keysWith(t, store, "version-000003/part-"))
	hooked := &hooked{Store: store, open: "version-000003/part-", beforeOpen: func() {
		source.base(store)
		pruneAll(t, store)
	}}
	dir := filepath.Join(t.TempDir(), "replica")
	if err := initIn(t, dir, hooked, remote.Options{Target: ptr(4)}); err == nil {
		tip, err := openTable(t, dir).Tip(t.Context())
		require.NoError(t, err)
		require.Equal(t, deltalog.Version(4), tip, "the init was a success")
	}
}

// An init that goes on from an old beginning, over a gap, is stopped between checkpoint and
// commit.
func TestInitOverAGapCutOff(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(4, 2, 300)
	source.mustPush(store)
	dir := filepath.Join(disktest.Folder(t), "replica")
	restoreInto(t, dir, store)
	source.churn(4, 2, 300)
	source.cleanUp(6)
	source.mustPush(store)
	across := remote.Options{AcrossGap: true}
	cutAt(t, dir, commitOf(6), func() error { return initIn(t, dir, store, across) })
	require.NoError(t, initIn(t, dir, store, across))
	requireVersion(t, source, dir, 7)
}

// The same without a gap: a live init, a full one, a live one.
func TestInitLiveFullLive(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(7, 2, 300)
	source.pushSingly(store)
	source.base(store) // 6
	live := remote.Options{History: remote.HistoryLive}
	dir := filepath.Join(disktest.Folder(t), "replica")
	cutAt(t, dir, commitOf(6), func() error { return initIn(t, dir, store, live) })
	cutAt(t, dir, commitOf(3), func() error { return initIn(t, dir, store, remote.Options{}) })
	require.NoError(t, initIn(t, dir, store, live))
	requireVersion(t, source, dir, 6)
}

// A pull over a gap is stopped between checkpoint and commit; then retention takes that base.
func TestJumpCutOffThenPruned(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(2, 2, 300)
	source.mustPush(store)
	dir := filepath.Join(disktest.Folder(t), "replica")
	restoreInto(t, dir, store)
	source.churn(6, 2, 300)
	source.cleanUp(5)
	source.mustPush(store)
	across := remote.Options{AcrossGap: true}
	cutAt(t, dir, commitOf(5), func() error { return pullIn(t, dir, store, across) })
	source.churn(4, 2, 300)
	source.pushSingly(store)
	source.base(store)
	pruneAll(t, store)
	require.NoError(t, pullIn(t, dir, store, across))
	requireVersion(t, source, dir, 11)
}

// belowAGap is a replica at version 4 and a store that goes on with a base of version 5, of which
// nothing proves that it follows.
func belowAGap(t *testing.T) (source *pond, store storage.Store, dir string) {
	source, store = newPond(t), storage.NewMemory()
	source.churn(5, 3, 300)
	source.mustPush(store)
	dir = restored(t, store)
	source.churn(3, 3, 300)
	source.cleanUp(5)
	source.mustPush(store)
	return source, store, dir
}

// Retention took the base after a gap and kept the bundle that records it, a run with live files.
func TestPullAcrossAGapWhoseBaseWasPruned(t *testing.T) {
	source, store, dir := belowAGap(t)
	source.churn(2, 3, 300)
	source.pushSingly(store)
	source.base(store)
	pruneAll(t, store)
	require.Equal(t, []string{bundle5}, keysWith(t, store, "version-000005/"))
	require.ErrorIs(t, pullIn(t, dir, store, remote.Options{}), remote.ErrGap)
	require.NoError(t, pullIn(t, dir, store, remote.Options{AcrossGap: true}))
	requireVersion(t, source, dir, 9)
	requireSpan(t, dir, 9, 9)
}

// The base beside a gap is lost, and no floor above it has another: that is damage.
func TestPullAcrossAGapWhoseBaseIsLost(t *testing.T) {
	_, store, dir := belowAGap(t)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), baseOf(5)))
	err := pullIn(t, dir, store, remote.Options{AcrossGap: true})
	require.ErrorIs(t, err, remote.ErrCorrupt)
	require.ErrorContains(t, err, baseOf(5))
	requireSpan(t, dir, 0, 4)
}

// A full init is stopped, then retention takes the versions that it had.
func TestInitCutOffThenPruned(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	source.churn(6, 2, 300)
	source.pushSingly(store)
	dir := filepath.Join(disktest.Folder(t), "replica")
	cutAt(t, dir, commitOf(3), func() error { return initIn(t, dir, store, remote.Options{}) })
	source.churn(4, 2, 300)
	source.pushSingly(store)
	source.base(store)
	pruneAll(t, store)
	require.NoError(t, initIn(t, dir, store, remote.Options{AcrossGap: true})) // Pull can
	requireVersion(t, source, dir, 9)
}

func jumpCutShort(t *testing.T) (source *pond, store storage.Store, dir string) {
	source, store = newPond(t), storage.NewMemory()
	source.churn(4, 5, 300)
	source.mustPush(store)
	dir = filepath.Join(disktest.Folder(t), "replica")
	restoreInto(t, dir, store)
	source.churn(6, 5, 300)
	source.cleanUp(8)
	source.mustPush(store)
	removing := func(s *atomicfile.Step) bool {
		return strings.HasSuffix(s.Path(), deltalog.Version(0).CommitPath()) && s.Do == atomicfile.StepRemove
	}
	cutAt(t, dir, removing, func() error { return pullIn(t, dir, store, remote.Options{AcrossGap: true}) })
	require.NoError(t, pullIn(t, dir, store, remote.Options{AcrossGap: true}))
	requireVersion(t, source, dir, 9)
	return source, store, dir
}

// A jump was stopped while it removed what lies below. Commits that stay there do not make the
// log one in which all files are named by commits: one that only the checkpoint names, live in
// an older version, is no orphan (H8).
func TestFileNamedByACheckpointAlone(t *testing.T) {
	source, store, dir := jumpCutShort(t)
	name := churnFile(6) // added in the gap, live at 8: only the checkpoint names it
	was := readString(t, filepath.Join(dir, name))
	source.write(name, "other bytes")
	source.commit(add(name, "other bytes"))
	source.mustPush(store)
	assert.ErrorIs(t, pullIn(t, dir, store, remote.Options{}), remote.ErrConflict, "as without the cut")
	require.Equal(t, was, readString(t, filepath.Join(dir, name)))
}

// The next version records a gap, of no versions, and the head lags.
func TestPullAcrossAGapBeyondTheHead(t *testing.T) {
	source, store, before := newPond(t), storage.NewMemory(), storage.NewMemory()
	source.churn(3, 2, 300)
	source.mustPush(store)
	dir := restored(t, store)
	copyAll(t, store, before)
	source.churn(2, 2, 300)
	source.cleanUp(3) // the log begins with the version that comes next
	source.mustPush(store)
	require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
	copyObject(t, before, store, "backups/head.json") // the pusher died before it wrote it
	require.NoError(t, pullIn(t, dir, store, remote.Options{AcrossGap: true}))
	requireSpan(t, dir, 3, 4)
}

// A store that is down for a moment is not another history, with which Follow gives up.
func TestUnavailableIsNotDiverged(t *testing.T) {
	for _, lists := range []bool{true, false} {
		_, store, before := leftoverInARun(t, bundle3)
		require.NoError(t, store.(storage.Deleter).Delete(t.Context(), "backups/head.json"))
		copyObject(t, before, store, "backups/head.json") // the pusher died before it wrote it
		dir := filepath.Join(t.TempDir(), "replica")
		require.NoError(t, initIn(t, dir, store, remote.Options{Target: ptr(2)}))
		again := filepath.Join(t.TempDir(), "again")
		require.NoError(t, os.CopyFS(again, os.DirFS(dir)))
		require.NoError(t, pullIn(t, again, store, remote.Options{}), "while it is up")
		flaky := &hooked{Store: store, open: "version-000003/", lists: lists}
		if !lists {
			flaky.key = "version-000002/"
		}
		flaky.beforeOpen = func() { flaky.down.Store(true) }
		err := pullIn(t, dir, flaky, remote.Options{})
		require.True(t, flaky.down.Load())
		assert.ErrorIs(t, err, storage.ErrUnavailable)
		assert.NotErrorIs(t, err, remote.ErrDiverged)
	}
}
