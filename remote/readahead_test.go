package remote_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// slowLog is a table that answers for a commit only when several were asked for.
type slowLog struct {
	*deltalog.Dir
	from   deltalog.Version // below, it answers at once
	opened sync.Map         // versions
	lack   atomic.Int64     // how many must be asked for still
	enough chan struct{}
}

func (s *slowLog) OpenCommit(ctx context.Context, v deltalog.Version) (*deltalog.CommitFile, error) {
	if _, again := s.opened.LoadOrStore(v, true); !again && v >= s.from {
		if s.lack.Add(-1) == 0 {
			close(s.enough)
		}
		select {
		case <-s.enough:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return s.Dir.OpenCommit(ctx, v)
}

// The commits of a backlog are read several at once, which a table in a bucket needs; no
// more of them than Options.Concurrency.
func TestPushReadsCommitsAhead(t *testing.T) {
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
	source.append("last")
	table := &slowLog{Dir: openTable(t, source.dir), from: 1, enough: make(chan struct{})}
	table.lack.Store(concurrency)
	r, err := remote.New(table, store, &remote.Options{Concurrency: concurrency})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	report, err := r.Push(ctx)
	require.NoError(t, err)
	require.Equal(t, 32, report.Versions)
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
