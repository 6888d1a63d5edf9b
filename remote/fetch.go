package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// fetched are bundles whose files are staged and agree with their manifests: those
// of their versions that are wanted, ascending, up to an error.
type fetched struct {
	versions []readyVersion
	err      error
}

// readyVersion is a version whose files are staged.
type readyVersion struct {
	version bundle.Version
	commit  *deltalog.Commit
	change  deltalog.Change
}

// fetcher streams bundles into the staging area of a table.
type fetcher struct {
	s           *session
	table       LogApplier
	first, last deltalog.Version // the versions that are wanted
	ctx         context.Context  // of the replay, which the fetcher does not outlive
	cancel      context.CancelFunc
	running     sync.WaitGroup
	fetching    sync.RWMutex // read: a bundle; write: what lets no bundle be fetched meanwhile
}

func newFetcher(ctx context.Context, s *session, table LogApplier, first, last deltalog.Version) *fetcher {
	ctx, cancel := context.WithCancel(ctx)
	return &fetcher{s: s, table: table, first: first, last: last, ctx: ctx, cancel: cancel}
}

// stop ends what is still being fetched and waits for it.
func (f *fetcher) stop() {
	f.cancel()
	f.running.Wait()
}

// each fetches the bundles, Concurrency at once, and calls take with each in
// order, as soon as its turn has come; next waits for it if it is not ready. An
// error of take ends it.
func (f *fetcher) each(bundles []object, take func(next func() fetched, ready bool) error) error {
	for result := range f.ahead(together(bundles)) {
		select {
		case got := <-result:
			if err := take(func() fetched { return got }, true); err != nil {
				return err
			}
		default:
			if err := take(func() fetched { return <-result }, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// ahead starts to fetch the bundles in order and yields a channel for each.
func (f *fetcher) ahead(groups [][]object) <-chan chan fetched {
	ahead := make(chan chan fetched, f.s.opts.Concurrency-1)
	f.running.Go(func() {
		defer close(ahead)
		for _, group := range groups {
			result := make(chan fetched, 1)
			select {
			case ahead <- result:
			case <-f.ctx.Done():
				return
			}
			f.running.Go(func() {
				f.fetching.RLock()
				defer f.fetching.RUnlock()
				result <- f.fetch(group)
			})
		}
	})
	return ahead
}

// groupBytes bounds how much is read of a pack with one request.
const groupBytes = 16 << 20

// together puts bundles that lie one after the other in a pack into groups that
// are read with one request each.
func together(bundles []object) (groups [][]object) {
	var end, size int64
	for i, o := range bundles {
		if i > 0 && o.pack && o.Key == bundles[i-1].Key && o.off == end && size+o.Size <= groupBytes {
			groups[len(groups)-1] = append(groups[len(groups)-1], o)
			size += o.Size
		} else {
			groups = append(groups, []object{o})
			size = o.Size
		}
		end = o.off + o.Size
	}
	return groups
}

// fetch streams the bundles of a group. What is good before the first that is not
// is returned with its error.
func (f *fetcher) fetch(group []object) fetched {
	if len(group) == 1 {
		return f.singly(group)
	}
	first, last := group[0], group[len(group)-1]
	r, err := f.s.store.Open(f.ctx, first.Key, first.off, last.off+last.Size-first.off)
	if err != nil {
		return fetched{err: at(first.version, first.Key, err)}
	}
	defer r.Close() // everything is read and checked, or failed
	var all fetched
	for i, o := range group {
		got := f.one(o, f.s.maxListed, func(b *incoming, of *portion) (bundle.Manifest, error) {
			return f.s.decodeFrom(f.ctx, counted{io.LimitReader(r, o.Size), of}, o, b.member)
		})
		if errors.Is(got.err, errOmitted) {
			got = f.alone(o, 0)
		}
		if errors.Is(got.err, ErrCorrupt) {
			rest := f.singly(group[i:])
			return fetched{append(all.versions, rest.versions...), rest.err}
		}
		all.versions = append(all.versions, got.versions...)
		if all.err = got.err; all.err != nil {
			break
		}
	}
	return all
}

// singly fetches bundles with a request each. Of a pack that is damaged they may be there alone, as
// long as retention has not removed them.
func (f *fetcher) singly(group []object) (all fetched) {
	for _, o := range group {
		got := f.alone(o, f.s.maxListed)
		if o.pack && errors.Is(got.err, ErrCorrupt) {
			if beside := f.alone(bundleAt(o.version), f.s.maxListed); beside.err == nil {
				f.s.log.Warn("a pack is damaged, taking the bundle beside it", logKey, o.Key, logVersion, o.version, logError, got.err)
				got = beside
			}
		}
		all.versions = append(all.versions, got.versions...)
		if all.err = got.err; all.err != nil {
			break
		}
	}
	return all
}

// errOmitted: a bundle carries more files of a version than were listed of its commit.
var errOmitted = errors.New("its commit names more files than are listed")

// alone fetches a bundle with a request of its own. Of commits it lists most files; 0: all.
// It takes all of another writer's, who lists more in a manifest.
func (f *fetcher) alone(o object, most int) fetched {
	got := f.one(o, most, func(b *incoming, of *portion) (bundle.Manifest, error) {
		return f.s.decode(f.ctx, o, of, b.member)
	})
	if errors.Is(got.err, errOmitted) {
		return f.alone(o, 0)
	}
	return got
}

// one takes in one bundle, which read streams.
func (f *fetcher) one(o object, most int, read func(*incoming, *portion) (bundle.Manifest, error)) fetched {
	b := &incoming{fetcher: f, staged: f.s.newStaging(f.table), current: o.version, most: most, commits: map[deltalog.Version]*deltalog.Commit{}, early: map[string]bool{}}
	of := f.s.portion(o.Size)
	m, err := read(b, of)
	if err == nil {
		err = b.parts(m)
	}
	if err != nil {
		return fetched{err: err}
	}
	of.finish()
	versions, err := b.ready(m)
	return fetched{versions, at(o.version, o.Key, err)}
}

// incoming is one bundle on its way.
type incoming struct {
	*fetcher
	staged  *staging
	current deltalog.Version // whose files come now
	most    int              // files of a commit that are listed; 0: any number
	commits map[deltalog.Version]*deltalog.Commit
	early   map[string]bool // staged of versions below first, which may need it no more
}

// member takes one member: the files of a version come before its commit.
func (b *incoming) member(ctx context.Context, m bundle.Member, r io.Reader) error {
	v, isCommit := deltalog.ParseCommitPath(m.Path)
	if isCommit {
		b.current = v + 1
		if v < b.first || v > b.last {
			return nil
		}
		c, err := b.staged.putCommit(ctx, m, r, b.most)
		b.commits[v] = c
		return err
	}
	wanted, err := b.wants(ctx, b.current, m.Path)
	if err != nil || !wanted {
		return err
	}
	return b.staged.put(ctx, m, r)
}

// wants reports whether a file that version v carries is to be staged.
func (b *incoming) wants(ctx context.Context, v deltalog.Version, path string) (bool, error) {
	if v >= b.first {
		return v <= b.last, nil
	}
	// A later version of this bundle that needs the file does not carry it
	// again, and the replica may have lost it since.
	_, found, err := b.s.fileSize(ctx, path)
	if err != nil || found {
		return false, err
	}
	b.early[path] = true
	return true, nil
}

// ready returns the wanted versions of a bundle that was read to its end.
func (b *incoming) ready(m bundle.Manifest) ([]readyVersion, error) {
	var all []readyVersion
	early := map[string]bundle.File{}
	for _, v := range m.Versions {
		n := deltalog.Version(v.Version)
		if n > b.last {
			break
		}
		if n < b.first {
			for _, f := range v.Files {
				if b.early[f.Path] {
					early[f.Path] = f
				}
			}
			continue
		}
		c := b.commits[n]
		if c == nil {
			return nil, fmt.Errorf("%w: no commit of version %d", ErrCorrupt, v.Version)
		}
		if err := checkProtocol(c); err != nil {
			return nil, err
		}
		if c.Omitted && !v.FilesInBase && (v.Gap == nil || len(v.Files) > 0) {
			return nil, errOmitted
		}
		if err := checkNamed(v, c); err != nil {
			return nil, err
		}
		files := slices.Clone(v.Files)
		for _, need := range c.Files {
			if f, found := early[need.Path]; found {
				files = append(files, f)
				delete(early, need.Path)
			}
		}
		change, err := b.staged.change(v, files)
		if err != nil {
			return nil, err
		}
		all = append(all, readyVersion{v, c, change})
	}
	return all, nil
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
