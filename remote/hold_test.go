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

// swappedTable is one whose folder another takes once a file was opened.
type swappedTable struct {
	*deltalog.Dir
	at   string
	swap func()
}

func (s *swappedTable) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	f, n, err := s.Dir.OpenFile(ctx, path)
	if path == s.at && s.swap != nil {
		s.swap()
		s.swap = nil
	}
	return f, n, err
}

// TestPushOfASwappedTable: what a push stores is of one table, also where a copy takes its
// place meanwhile that went its own way. What a base said of the copy, under a commit of
// the table, nobody could find out afterwards.
func TestPushOfASwappedTable(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open folder keeps its name")
	}
	source, store := newPond(t), storage.NewMemory()
	source.churn(30, 100, 64<<10)
	other := &pond{}
	*other = *source
	other.dir = source.dir + ".other"
	require.NoError(t, os.CopyFS(other.dir, os.DirFS(source.dir)))
	source.write("last", "aaa")
	tip := source.commit(add("last", "aaa"))
	want := liveFiles(t, source.dir, tip)
	require.Equal(t, tip, other.commit(remove(churnFile(0)), remove(churnFile(1)), remove(churnFile(2))))

	table := &swappedTable{Dir: openTable(t, source.dir), at: "last", swap: func() {
		require.NoError(t, os.Rename(source.dir, source.dir+".old"))
		require.NoError(t, os.Rename(other.dir, source.dir))
	}}
	r, err := remote.New(table, store, nil)
	require.NoError(t, err)
	report, err := r.Push(t.Context())
	require.NoError(t, err)
	require.Nil(t, table.swap)
	require.NotNil(t, report.Base)
	replica, _ := initLive(t, store, remote.Options{})
	require.Equal(t, want, liveFiles(t, replica, tip))

	_, err = r.Push(t.Context())
	require.ErrorIs(t, err, remote.ErrDiverged)
}
