package remote_test

import (
	"context"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// swappedTable is one whose folder another takes once a file or a commit was opened.
type swappedTable struct {
	*deltalog.Dir
	at   string
	swap func() // nil once it was done
}

func (s *swappedTable) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	defer s.opened(path)
	return s.Dir.OpenFile(ctx, path)
}

func (s *swappedTable) OpenCommit(ctx context.Context, v deltalog.Version) (*deltalog.CommitFile, error) {
	defer s.opened(v.CommitPath())
	return s.Dir.OpenCommit(ctx, v)
}

func (s *swappedTable) opened(path string) {
	if path == s.at && s.swap != nil {
		s.swap()
		s.swap = nil
	}
}

// TestPushOfASwappedTable: what a push stores is of one table, also where a copy takes its
// place meanwhile that went its own way. What a base said of the copy, under a commit of
// the table, nobody could find out afterwards.
func TestPushOfASwappedTable(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open folder keeps its name")
	}
	for _, at := range []string{"last", deltalog.Version(30).CommitPath()} {
		s := newSwap(t, at)
		r, err := remote.New(s.table, s.store, nil)
		require.NoError(t, err)
		report, err := r.Push(t.Context())
		require.NoError(t, err)
		require.Nil(t, s.table.swap)
		require.NotNil(t, report.Base)
		s.requireBase(t)
		_, err = r.Push(t.Context())
		require.ErrorIs(t, err, remote.ErrDiverged)
	}
}

// TestBaseOfASwappedTable: nor is a base of another table than what was compared.
func TestBaseOfASwappedTable(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open folder keeps its name")
	}
	s := newSwap(t, deltalog.Version(30).CommitPath())
	_, err := replicator(t, s.dir, s.store, &remote.Options{NoBases: true}).Push(t.Context())
	require.NoError(t, err)
	r, err := remote.New(s.table, s.store, nil)
	require.NoError(t, err)
	_, err = r.Base(t.Context())
	require.NoError(t, err)
	require.Nil(t, s.table.swap)
	s.requireBase(t)
}

// swap is a table with 31 versions whose place is taken by one of which the last is another.
type swap struct {
	dir   string
	table *swappedTable
	store storage.Store
	live  map[string]string // of the first
}

func newSwap(t *testing.T, at string) *swap {
	source, store := newPond(t), storage.NewMemory()
	source.churn(30, 100, 64<<10)
	other := &pond{}
	*other = *source
	other.dir = source.dir + ".other"
	require.NoError(t, os.CopyFS(other.dir, os.DirFS(source.dir)))
	source.write("last", "aaa")
	tip := source.commit(add("last", "aaa"))
	require.Equal(t, tip, other.commit(remove(churnFile(0)), remove(churnFile(1)), remove(churnFile(2))))
	require.EqualValues(t, 30, tip)
	return &swap{source.dir, &swappedTable{openTable(t, source.dir), at, func() {
		require.NoError(t, os.Rename(source.dir, source.dir+".old"))
		require.NoError(t, os.Rename(other.dir, source.dir))
	}}, store, liveFiles(t, source.dir, tip)}
}

func (s *swap) requireBase(t *testing.T) {
	replica, report := initLive(t, s.store, remote.Options{})
	require.NotNil(t, report.Base)
	require.EqualValues(t, 30, *report.Base)
	require.Equal(t, s.live, liveFiles(t, replica, 30))
}
