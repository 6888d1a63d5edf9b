package remote

import (
	"context"
	"fmt"
	"io"
	"sync"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// fetched is a version whose files are staged and agree with its manifest.
type fetched struct {
	version bundle.Version
	commit  *deltalog.Commit
	err     error
}

// tipState is the newest version of a replica.
type tipState struct {
	version deltalog.Version
	commit  bundle.Digest
}

// nextOf returns the version after tip, and the first one if there is none.
func nextOf(tip *tipState) deltalog.Version {
	if tip == nil {
		return 0
	}
	return tip.version + 1
}

// replay fetches the versions after tip up to last ahead in parallel and
// applies them strictly in order, as far as they are good. It returns how far
// it came. Whatever it staged beyond that is removed.
func (s *session) replay(ctx context.Context, table LogApplier, tip *tipState, last deltalog.Version) (*tipState, error) {
	fetchCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	ahead := s.fetchAhead(fetchCtx, &running, table, nextOf(tip), last)
	var err error
	begun := tip
	for result := range ahead {
		if tip, err = s.apply(ctx, table, tip, <-result); err != nil {
			break
		}
		if tip.version%checkpointEvery == 0 {
			s.checkpointIfDue(ctx, table, tip.version)
		}
	}
	if err == nil && nextOf(tip) <= last {
		err = ctx.Err() // the only reason to stop early without an error
	}
	cancel()
	running.Wait()
	s.discard(ctx, table)
	if tip != begun && ctx.Err() == nil {
		s.checkpointIfDue(ctx, table, tip.version)
	}
	return tip, err
}

// fetchAhead starts to fetch versions first to last in order, Concurrency at
// once, and yields a channel per version.
func (s *session) fetchAhead(ctx context.Context, running *sync.WaitGroup, table LogApplier, first, last deltalog.Version) <-chan chan fetched {
	ahead := make(chan chan fetched, s.opts.Concurrency-1)
	running.Go(func() {
		defer close(ahead)
		for v := first; v <= last; v++ {
			result := make(chan fetched, 1)
			select {
			case ahead <- result:
			case <-ctx.Done():
				return
			}
			running.Go(func() { result <- s.fetch(ctx, table, v) })
		}
	})
	return ahead
}

// discard removes what is staged, also when ctx has ended.
func (s *session) discard(ctx context.Context, table LogApplier) {
	if err := table.Discard(context.WithoutCancel(ctx)); err != nil {
		s.log.Warn("staged files not removed", logError, err)
	}
}

// fetch streams the bundle of version v into the staging area of table.
func (s *session) fetch(ctx context.Context, table LogApplier, v deltalog.Version) fetched {
	var scanned *deltalog.Commit
	m, err := s.decode(ctx, v, func(ctx context.Context, member bundle.Member, r io.Reader) error {
		r = watched{r, s}
		if member.Path != v.CommitPath() {
			return table.Stage(ctx, v, member.Path, r)
		}
		var err error
		scanned, err = stageCommit(ctx, table, v, r)
		return err
	})
	if err == nil && scanned == nil {
		err = fmt.Errorf("%w: no commit", ErrCorrupt)
	}
	if err == nil {
		err = checkProtocol(scanned)
	}
	if err == nil {
		err = checkNamed(m, scanned)
	}
	return fetched{m, scanned, at(v, bundleKey(v), err)}
}

// stageCommit stages the commit file and reads it on the way.
func stageCommit(ctx context.Context, table LogApplier, v deltalog.Version, r io.Reader) (*deltalog.Commit, error) {
	pr, pw := io.Pipe()
	staged := make(chan error, 1)
	go func() {
		err := table.Stage(ctx, v, v.CommitPath(), pr)
		pr.CloseWithError(err) // a stage that gave up must not block the scan
		staged <- err
	}()
	c, err := deltalog.ScanCommit(io.TeeReader(r, pw))
	pw.CloseWithError(err)
	if serr := <-staged; err == nil {
		err = serr
	}
	return c, err
}

// checkNamed refuses members that the commit does not name and the manifest
// does not call extra: nothing enters a replica uncalled for.
func checkNamed(m bundle.Version, c *deltalog.Commit) error {
	named := make(map[string]bool, len(c.Files))
	for _, f := range c.Files {
		named[f.Path] = true
	}
	for _, f := range m.Files {
		if f.Kind != bundle.KindExtra && f.Kind != bundle.KindCheckpoint && !named[f.Path] {
			return fmt.Errorf("%w: the commit does not name %s", ErrCorrupt, f.Path)
		}
	}
	return nil
}

// apply publishes a fetched version on top of tip.
func (s *session) apply(ctx context.Context, table LogApplier, tip *tipState, f fetched) (*tipState, error) {
	if f.err != nil {
		return tip, f.err
	}
	v := deltalog.Version(f.version.Version)
	if err := checkChain(tip, f.version); err != nil {
		return tip, err
	}
	if err := s.checkComplete(ctx, f); err != nil {
		return tip, at(v, bundleKey(v), err)
	}
	if err := table.Apply(ctx, changeOf(f.version)); err != nil {
		return tip, at(v, "", err)
	}
	s.record(f.version)
	s.stepped()
	s.log.Info("applied", logVersion, v)
	s.came(tipState{v, f.version.Commit.SHA256})
	return &tipState{v, f.version.Commit.SHA256}, nil
}

// checkChain makes sure that version v follows the replica's newest one.
func checkChain(tip *tipState, v bundle.Version) error {
	switch {
	case v.Gap != nil: // only its base can be begun with
		return at(deltalog.Version(v.Version), "", &gapAt{deltalog.Version(v.Version), deltalog.Version(v.Gap.From)})
	case tip == nil: // version 0; the codec lets nothing else go without
		return nil
	case *v.Previous != tip.commit:
		return diverged(tip.version, tip.commit, *v.Previous)
	}
	return nil
}

// checkComplete makes sure that every file the commit needs is carried by the
// bundle, recorded absent, or there already.
func (s *session) checkComplete(ctx context.Context, f fetched) error {
	settled := make(map[string]bool, len(f.version.Files)+len(f.version.Absent))
	for _, c := range f.version.Files {
		settled[c.Path] = true
	}
	for _, path := range f.version.Absent {
		settled[path] = true
	}
	for _, need := range f.commit.Files {
		if settled[need.Path] {
			continue
		}
		_, found, err := s.fileSize(ctx, need.Path)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%w: neither the bundle nor the replica has %s", ErrCorrupt, need.Path)
		}
	}
	return nil
}

func changeOf(v bundle.Version) deltalog.Change {
	c := deltalog.Change{
		Version:  deltalog.Version(v.Version),
		Commit:   stagedOf(v.Commit),
		Modified: v.Modified,
	}
	for _, f := range v.Files {
		if f.Kind == bundle.KindCheckpoint {
			c.Older = append(c.Older, stagedOf(f))
		} else {
			c.Files = append(c.Files, stagedOf(f))
		}
	}
	return c
}

func stagedOf(f bundle.File) deltalog.Staged {
	return deltalog.Staged{Path: f.Path, Size: f.Size, SHA256: f.SHA256}
}
