package remote

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"golang.org/x/sync/errgroup"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
	"github.com/pondworks/sluice/internal/tempfile"
)

// draftBase gathers what the base of version v says: the commit, a checkpoint,
// and for every live file where it lies, after those that nothing in the store has were
// stored in parts, as far as the base itself does not carry them.
func (s *session) draftBase(ctx context.Context, table StateReader, pos *position, v, tip deltalog.Version, ownCheckpoint bool) (_ *baseDraft, err error) {
	d := &baseDraft{base: bundle.Base{Version: int64(v), Writer: s.opts.Writer}, ownCheckpoint: ownCheckpoint}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.remove())
		}
	}()
	if err := s.draftCommit(ctx, d, pos, v); err != nil {
		return nil, err
	}
	x := &indexer{session: s, draft: d, index: s.halfSorter(), rest: s.halfSorter(), pos: pos, tip: tip}
	defer func() { err = errors.Join(err, x.index.Close(), x.rest.Close()) }()
	if err := s.draftState(ctx, d, table, x); err != nil {
		return nil, err
	}
	return d, x.finish(ctx)
}

// draftState reads the state of the table for the checkpoint and for what is live, and at
// the same time what of it the store has.
func (s *session) draftState(ctx context.Context, d *baseDraft, table StateReader, x *indexer) error {
	state, err := table.Snapshot(ctx, deltalog.Version(d.base.Version), &deltalog.SnapshotOptions{Memory: s.stateMemory()})
	if err != nil {
		return err
	}
	both, bctx := errgroup.WithContext(ctx)
	both.Go(func() error { return s.draftCheckpoint(bctx, d, state) })
	both.Go(func() error { return x.compare(bctx, state) })
	err = both.Wait()
	return errors.Join(err, state.Close())
}

func (s *session) draftCommit(ctx context.Context, d *baseDraft, pos *position, v deltalog.Version) error {
	c, err := s.scanLocal(ctx, v)
	if err != nil {
		return err
	}
	d.base.Modified, d.base.Operation = c.file.Modified.UTC(), c.Operation
	d.base.Timestamp = deltalog.CommitTimestamp(c.Commit, c.file.Modified)
	if pos.gap == nil && pos.some && pos.last == v-1 {
		d.base.Timestamp = deltalog.Monotone(c.Commit, d.base.Timestamp, pos.time)
	}
	if (c.Omitted || pos.gap != nil) && pos.end() < v { // no bundle will list its files
		if d.brings, err = s.sortFiles(ctx, v); err != nil {
			return err
		}
	}
	if pos.some && pos.last == v {
		if c.SHA256 != pos.commit {
			return diverged(v, c.SHA256, pos.commit)
		}
		d.base.Timestamp = pos.time
	}
	return nil
}

// draftCheckpoint takes the checkpoint that the table has of that very version as it is,
// since ours may lack what it has. Else it writes one to a temporary file.
func (s *session) draftCheckpoint(ctx context.Context, d *baseDraft, state *deltalog.Snapshot) error {
	if !d.ownCheckpoint && state.Base != nil && *state.Base == state.Version && canCarry(state.BaseFiles) {
		for _, path := range state.BaseFiles {
			d.base.Checkpoint = append(d.base.Checkpoint, bundle.File{Path: path, Kind: bundle.KindCheckpoint})
		}
		return nil
	}
	d.base.Checkpoint = []bundle.File{{Path: state.Version.CheckpointPath(), Kind: bundle.KindCheckpoint}}
	return d.checkpoint.write("sluice-checkpoint-", func(w io.Writer) error {
		_, err := state.WriteCheckpoint(w)
		return errors.Join(err, ctx.Err())
	})
}

// addLive adds the paths of all files that the state needs, with what liveValue keeps of them;
// since is as of sinceWhen.
func (s *session) addLive(ctx context.Context, live *extsort.Sorter, state *deltalog.Snapshot, since int64) error {
	if err := addAdds(ctx, live, state, since); err != nil {
		return err
	}
	if s.opts.Extra == nil {
		return nil
	}
	paths, err := s.opts.Extra(ctx, state.Version)
	if err != nil {
		return fmt.Errorf("extra files hook: %w", err)
	}
	for _, path := range paths {
		if err := live.Add(path, liveValue(bundle.KindExtra, false)); err != nil {
			return err
		}
	}
	return nil
}

// addAdds adds those that the log names: data and deletion vectors.
func addAdds(ctx context.Context, live *extsort.Sorter, state *deltalog.Snapshot, since int64) error {
	for a, err := range state.Adds() {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := live.Add(a.Path, liveValue(bundle.KindData, isFromBefore(a, since))); err != nil {
			return err
		}
		if a.VectorFile == "" {
			continue
		}
		if err := live.Add(a.VectorFile, liveValue(bundle.KindDeletionVector, false)); err != nil {
			return err
		}
	}
	return nil
}

// liveFile is a live file and where the store has it; nil if nowhere.
type liveFile struct {
	path       string
	kind       bundle.Kind
	fromBefore bool // no missing version can have brought it, by the log
	stored     *bundle.IndexEntry
}

// join looks up every live path among the stored ones, both sorted. Of several
// that have a path the last added counts.
func join(live, stored *extsort.Sorter) iter.Seq2[liveFile, error] {
	return func(yield func(liveFile, error) bool) {
		next, stop := iter.Pull2(stored.Sorted())
		defer stop()
		candidate, err, more := next()
		last := ""
		for l, lerr := range live.Sorted() {
			if lerr == nil && l.Key == last {
				continue // named twice
			}
			last = l.Key
			f := liveFile{path: l.Key}
			if lerr == nil {
				f.kind, f.fromBefore = decodeLive(l.Value)
			}
			err = errors.Join(err, lerr)
			for err == nil && more && candidate.Key <= l.Key {
				if candidate.Key == l.Key {
					var e bundle.IndexEntry
					e, err = decodeEntry(candidate.Value)
					f.stored = &e
				}
				if err == nil {
					candidate, err, more = next()
				}
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
}

// temporary is a temporary file, empty until it is written.
type temporary struct {
	file *tempfile.File
	size int64 // bytes
}

func (t *temporary) write(pattern string, write func(w io.Writer) error) error {
	f, err := tempfile.Create("", pattern)
	if err != nil {
		return err
	}
	t.file = f
	w := bufio.NewWriterSize(f, 64<<10)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	info, serr := f.Stat()
	if serr == nil {
		t.size = info.Size()
	}
	return errors.Join(err, serr)
}

// open may be called again.
func (t *temporary) open() (io.ReadCloser, int64) {
	return io.NopCloser(io.NewSectionReader(t.file, 0, t.size)), t.size
}

// remove removes the file, if it was made.
func (t *temporary) remove() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}
