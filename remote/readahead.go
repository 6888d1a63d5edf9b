package remote

import (
	"context"
	"iter"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/inorder"
)

// commitsAhead reads small commits before their turn, and looks for the files that they
// name, Options.Concurrency of them at once: while one is planned the next are on their way,
// for which a table in a bucket takes long.
type commitsAhead struct {
	session *session
	next    func() (commitRead, bool)
	stop    func()
}

// commitRead is what came of reading a commit.
type commitRead struct {
	localCommit
	large bool // it was left for its turn
	err   error
}

// readAhead reads the commits from one version to another. It must be closed.
func (s *session) readAhead(ctx context.Context, first, last deltalog.Version) *commitsAhead {
	versions := func(yield func(deltalog.Version) bool) {
		for v := first; v <= last && yield(v); v++ {
		}
	}
	next, stop := iter.Pull(inorder.Seq(ctx, s.opts.Concurrency, versions, s.readSmall))
	return &commitsAhead{s, next, stop}
}

// readSmall reads the commit of version v, unless it is large, and looks for its files.
func (s *session) readSmall(ctx context.Context, v deltalog.Version) (r commitRead) {
	f, err := s.table.OpenCommit(ctx, v)
	switch {
	case err != nil:
		r.err = err
	case f.Size > keptCommit:
		r.large, r.err = true, f.Close()
	default:
		r.localCommit, r.err = scanOpened(f, s.mostListed())
	}
	if r.err == nil && !r.large {
		r.sizes, r.err = s.fileSizes(ctx, r.Files)
	}
	return r
}

// take returns the commit of version v. It is called for one version after the other.
func (a *commitsAhead) take(ctx context.Context, v deltalog.Version) (localCommit, error) {
	read, more := a.next()
	if !more || read.err == nil && read.large {
		return a.session.scanLocal(ctx, v)
	}
	return read.localCommit, read.err
}

// close gives up what was not taken.
func (a *commitsAhead) close() { a.stop() }
