package remote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// together answers only when several different things were asked for.
type together struct {
	asked  sync.Map     // any: true
	lack   atomic.Int64 // how many must be asked for still
	enough chan struct{}
}

func newTogether(n int64) *together {
	g := &together{enough: make(chan struct{})}
	g.lack.Store(n)
	return g
}

func (g *together) wait(ctx context.Context, what any) error {
	if _, again := g.asked.LoadOrStore(what, true); again {
		return nil
	}
	if g.lack.Add(-1) == 0 {
		close(g.enough)
	}
	select {
	case <-g.enough:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// slowTable is a table that answers for commits, for sizes and for files only when
// several were asked for.
type slowTable struct {
	*deltalog.Dir
	from                   deltalog.Version // commits below are answered for at once
	commits, sizes, opened *together
}

func (s *slowTable) OpenCommit(ctx context.Context, v deltalog.Version) (*deltalog.CommitFile, error) {
	if v >= s.from {
		if err := s.commits.wait(ctx, v); err != nil {
			return nil, err
		}
	}
	return s.Dir.OpenCommit(ctx, v)
}

func (s *slowTable) FileSize(ctx context.Context, path string) (int64, error) {
	if err := s.sizes.wait(ctx, path); err != nil {
		return 0, err
	}
	return s.Dir.FileSize(ctx, path)
}

func (s *slowTable) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	if err := s.opened.wait(ctx, path); err != nil {
		return nil, 0, err
	}
	return s.Dir.OpenFile(ctx, path)
}

// The commits and the small files of a backlog are read several at once, which a table in a
// bucket needs.
func TestPushReadsAhead(t *testing.T) {
	const concurrency = 5
	source, store := newPond(t), storage.NewMemory()
	source.append("first")
	source.mustPush(store)
	for i := range 30 {
		source.append(fmt.Sprint(i))
	}
	large := []action{}
	for i := range 2000 { // one that is not kept in memory, on the way
		large = append(large, remove(fmt.Sprintf("never-there-%d", i)))
	}
	source.commit(large...)
	source.append(strings.Repeat("large", 500_000)) // nor this
	source.append("last")
	table := &slowTable{openTable(t, source.dir), 1, newTogether(concurrency), newTogether(concurrency), newTogether(concurrency)}
	r, err := remote.New(table, store, &remote.Options{Concurrency: concurrency})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	report, err := r.Push(ctx)
	require.NoError(t, err)
	require.Equal(t, 33, report.Versions)
	requireSame(t, source.dir, restored(t, store))
}

// A commit that cannot be read stops the push where it stands, whatever was read ahead.
func TestCommitThatCannotBeRead(t *testing.T) {
	source, store := newPond(t), storage.NewMemory()
	for i := range 40 {
		source.append(fmt.Sprint(i))
	}
	broken := errors.New("broken")
	r, err := remote.New(&brokenLog{openTable(t, source.dir), 20, broken}, store, nil)
	require.NoError(t, err)
	_, err = r.Push(t.Context())
	require.ErrorIs(t, err, broken)
	require.ErrorContains(t, err, "version 20")
	v := verify(t, "", store, remote.VerifyOptions{Data: true})
	require.NoError(t, v.Err())
	require.EqualValues(t, 19, v.Last, "what stands below was pushed")
}

type brokenLog struct {
	*deltalog.Dir
	at  deltalog.Version
	err error
}

func (b *brokenLog) OpenCommit(ctx context.Context, v deltalog.Version) (*deltalog.CommitFile, error) {
	if v == b.at {
		return nil, b.err
	}
	return b.Dir.OpenCommit(ctx, v)
}

// A file that was read ahead is judged like any other: one that yields another number of
// bytes than announced, or an error, stops the push, and nothing is stored of it.
func TestFileThatIsNotAsAnnounced(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		file oddFile
		want error
	}{
		"shorter": {oddFile{text: "content", size: 8}, bundle.ErrSize},
		"longer":  {oddFile{text: "content", size: 6}, bundle.ErrSize},
		"breaks":  {oddFile{text: "content", size: 9, err: broken}, broken},
		"no size": {oddFile{text: "content", size: -1 << 40}, bundle.ErrSize},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newPond(t), storage.NewMemory()
			for i := range 3 {
				source.append(fmt.Sprint(i))
			}
			c.file.path = "odd.parquet"
			source.write(c.file.path, c.file.text)
			source.commit(add(c.file.path, c.file.text))
			r, err := remote.New(&oddTable{openTable(t, source.dir), c.file}, store, nil)
			require.NoError(t, err)
			_, err = r.Push(t.Context())
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, c.file.path)
			_, err = replicator(t, filepath.Join(t.TempDir(), "r"), store, nil).Init(t.Context())
			require.ErrorIs(t, err, remote.ErrEmptyStore)
			source.mustPush(store)
			requireSame(t, source.dir, restored(t, store))
		})
	}
}

// oddFile says that it has size bytes, and yields text and then err.
type oddFile struct {
	path string
	text string
	size int64
	err  error
}

type oddTable struct {
	*deltalog.Dir
	file oddFile
}

func (o *oddTable) OpenFile(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	if path != o.file.path {
		return o.Dir.OpenFile(ctx, path)
	}
	r := io.Reader(strings.NewReader(o.file.text))
	if o.file.err != nil {
		r = io.MultiReader(r, iotest.ErrReader(o.file.err))
	}
	return io.NopCloser(r), o.file.size, nil
}
