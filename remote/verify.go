package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/extsort"
	"github.com/pondworks/sluice/internal/inorder"
	"github.com/pondworks/sluice/storage"
)

// VerifyOptions say how thorough Verify is.
type VerifyOptions struct {
	// Data makes Verify read all bundles and compare every byte with its digest,
	// also those of the table's files. Default: manifests, bases and sizes.
	Data bool
	// State is a file in which a Verify of Data keeps what it has read and found
	// good, so that one that is cut off goes on from there. It is removed once all
	// has been looked at. It is an error without Data, which alone it is for. Default: none.
	State string
}

// Verification is what Verify has looked at and found.
type Verification struct {
	Lineage string `json:"lineage"`
	// First and Last are the versions of the history, from the beginning that is
	// promised to the end without a gap that is not recorded.
	First    deltalog.Version `json:"first_version"`
	Last     deltalog.Version `json:"last_version"`
	Versions int64            `json:"versions"` // that were looked at
	Bundles  int64            `json:"bundles"`
	Bases    int64            `json:"bases"`
	Files    int64            `json:"files"` // that the bundles carry, commits among them
	Bytes    int64            `json:"bytes"` // of these, before compression
	// Read counts the bundles that were read in full, Resumed those that an earlier
	// Verify with the same State had read.
	Read    int64 `json:"read"`
	Resumed int64 `json:"resumed"`
	// Table is nil if the Replicator has none.
	Table *TableVerification `json:"table,omitempty"`
	// Findings are at most 10,000; Omitted counts those that are left out.
	Findings []Finding     `json:"findings"`
	Omitted  int           `json:"omitted,omitempty"`
	Requests Requests      `json:"requests"`
	Duration time.Duration `json:"duration_ns"`

	problems map[*problem]int
}

// TableVerification compares the table with the store.
type TableVerification struct {
	Version deltalog.Version `json:"version"` // its newest
	Commits int64            `json:"commits"` // that are the same
	Files   int64            `json:"files"`   // that are the same: live ones and older ones that are still there
	Bytes   int64            `json:"bytes"`   // of these
	// Vacuumed counts files of older versions that are no longer there, as it may be.
	Vacuumed int64 `json:"vacuumed"`
	// Unknown counts files that no version in the store has, where the store has not
	// all versions from 0 on, so that they may be of one that it lacks.
	Unknown int64 `json:"unknown"`
	// Absent counts files that its newest version needs, and that were gone at the source
	// before they were pushed: nobody can read that version in full.
	Absent int64 `json:"absent"`
	// Ahead counts the versions above those of the store, Behind those that are
	// missing to it.
	Ahead  int64 `json:"ahead"`
	Behind int64 `json:"behind"`
	// Identical: the newest version of both is the same, and so is every file that
	// it needs and every other one that both have; nothing else lies there. Without
	// Data only sizes were compared.
	Identical bool `json:"identical"`
}

// Problems returns how many problems were found.
func (v *Verification) Problems() int {
	n := 0
	for _, k := range v.problems {
		n += k
	}
	return n
}

// Err returns nil if no problem was found, else an error that wraps ErrDiverged where
// commits differ, ErrCorrupt where something is damaged, or the table lacks files or has other
// ones, and ErrGap where something is missing from the store.
func (v *Verification) Err() error {
	err := error(nil)
	for _, p := range problems {
		n := v.problems[p]
		if n == 0 {
			continue
		}
		is := fmt.Errorf("%w: "+p.text, p.class, n)
		if err == nil {
			err = is
		} else {
			err = fmt.Errorf("%w; %w", err, is)
		}
	}
	return err
}

// StoreProblems returns how many of the problems are not of the table alone.
func (v *Verification) StoreProblems() int { return v.Problems() - v.problems[problemOfTable] }

// Verify looks at everything that is of use in the store and changes nothing: that each
// version follows the one before, that every bundle is there and says what it
// carries, that all bases are whole and what they refer to is there. With
// VerifyOptions.Data it also reads every bundle and checks all digests, that every file
// which a commit needs is somewhere, and that the index of every base lists what its
// checkpoint calls live. If the Replicator has a table, it tells whether that is the same.
// Several objects are looked at at once; memory is bounded by Options.Memory, beyond which
// temporary files are used.
//
// What is wrong is in the Verification, and its Err. An error means that Verify could not
// do its work: what it returns then is what it had found until then. It wraps
// ErrEmptyStore if nothing was ever pushed, and ErrCorrupt if the identity or the index of a pack
// cannot be read, without which no reader gets any further.
func (r *Replicator) Verify(ctx context.Context, opts VerifyOptions) (Verification, error) {
	if opts.State != "" && !opts.Data {
		return Verification{}, opError("verify", errors.New("VerifyOptions.State is for Data"))
	}
	done, err := r.newSession("verify").verify(ctx, opts, opts.Data)
	return done, opError("verify", err)
}

// verify is Verify; tableData: the table's files are read, too, and not only compared
// by size.
func (s *session) verify(ctx context.Context, opts VerifyOptions, tableData bool) (Verification, error) {
	v := &verifier{session: s, want: opts, tableData: tableData, files: extsort.New(s.opts.Memory/4, ""), below: below{bundles: map[deltalog.Version]bool{}}, parts: map[string]bool{}, baseParts: map[string]bool{}, damaged: map[string]bool{}, inBase: map[deltalog.Version]bool{}}
	err := errors.Join(v.run(ctx), v.files.Close())
	v.done.Findings, v.done.Omitted, v.done.problems = v.found.list, v.found.omitted, v.found.problems
	report := s.finish()
	v.done.Requests, v.done.Duration = report.Requests, report.Duration
	return v.done, err
}

// verifier is one Verify.
type verifier struct {
	*session
	want      VerifyOptions
	tableData bool
	done      Verification
	found     findings
	files     *extsort.Sorter // a fileNote for all that is said of a path
	state     *verifyState    // nil: none is kept

	chain     chain
	carried   int64                     // bytes of the files that bundles have
	damaged   map[string]bool           // what cannot be read, by the key that a bundle has alone
	inBase    map[deltalog.Version]bool // whose files, and what is absent of them, bases tell
	below     below                     // what is needed of what lies below the history
	parts     map[string]bool           // keys of those that were looked at
	baseParts map[string]bool           // keys of those that bases refer to
	table     *tableCheck               // nil: there is no table
}

func (v *verifier) run(ctx context.Context) error {
	v.lenient = true
	id, l, segments, err := v.wholeHistory(ctx)
	if err != nil {
		return err
	}
	if len(l.bundles) == 0 {
		h, err := v.headOf(ctx, id)
		if err != nil || l.isEmpty(h) {
			return firstOf(err, ErrEmptyStore)
		}
	}
	v.done.Lineage, v.done.First, v.done.Last = id.Lineage, l.start(id), l.start(id)-1
	if n := len(segments); n > 0 {
		v.done.Last = segments[n-1].last
	}
	if v.table, err = v.newTableCheck(ctx); err != nil {
		return err
	}
	if v.want.Data && v.want.State != "" {
		if v.state, err = openVerifyState(v.want.State, id.Lineage); err != nil {
			return err
		}
	}
	h, _, err := v.readHead(ctx)
	if err != nil {
		return err
	}
	err = v.look(ctx, id, l, segments, h)
	return errors.Join(err, v.state.close(err == nil))
}

// look goes through everything once.
func (v *verifier) look(ctx context.Context, id *identity, l listing, segments []segment, h *head) error {
	v.chain = chain{found: &v.found, start: l.start(id), end: l.start(id) - 1, partial: l.start(id) > 0, hasBase: func(at deltalog.Version) bool {
		_, found := find(l.bases, at)
		return found
	}}
	v.chain.within = inGaps(v.done.First, segments)
	if h != nil && h.Lineage != id.Lineage {
		v.found.version(FindingHead, h.Version, headKey, "it is of lineage %s, the store of %s", h.Lineage, id.Lineage)
		h = nil
	}
	v.chain.promised = l.promisedBy(h)
	if floor := l.floor(); floor > id.First && !v.chain.hasBase(floor) {
		v.found.version(FindingMissing, floor, baseKey(floor), "the history begins with it, since what was below was pruned")
	}
	v.below.start = v.chain.start
	v.below.add(stretch{v.chain.start, math.MaxInt64}, segments)
	if v.chain.start > 0 {
		if err := v.addReaching(ctx, l, v.chain.start); err != nil {
			return err
		}
	}
	if err := v.lookAtPins(ctx, id, l, segments, h.hints()); err != nil {
		return err
	}
	bases, err := v.lookAtBases(ctx, l.bases)
	if err != nil {
		return err
	}
	v.chain.bases = bases
	l.bundles = v.below.needed(l)
	if n := len(l.bundles); n > 0 {
		v.expect(int(l.bundles[n-1].version - l.bundles[0].version + 1))
	}
	if v.want.Data {
		v.foreseeObjects(slices.Concat(l.bundles, l.parts), true)
	}
	if err := v.lookAtBundles(ctx, l.bundles); err != nil {
		return err
	}
	if err := v.lookAtBaseParts(ctx, l.parts); err != nil {
		return err
	}
	v.lookForParts(l.parts)
	v.chain.finish()
	v.lookAtHead(h)
	return v.lookAtFiles(ctx)
}

// lookAtHead compares the hint with what is there.
func (v *verifier) lookAtHead(h *head) {
	switch {
	case h == nil:
	case h.Version == v.chain.end && h.Commit != v.chain.commits[v.chain.end]:
		v.found.version(FindingHead, h.Version, headKey, "it says that the commit has sha256 %s, the bundle %s", h.Commit, v.chain.commits[v.chain.end])
	case h.Version < v.chain.end:
		v.found.version(FindingHead, h.Version, headKey, "it is behind, the store ends at %d", int64(v.chain.end))
	}
}

// looked is what was found out about one bundle.
type looked struct {
	object
	manifest bundle.Manifest
	needs    []need // that the bundle itself does not meet; known only if it was read
	badParts []badPart
	read     bool
	err      error
}

// lookAtBundles reads all manifests or all bundles, several at once, and hands them
// in order to the chain, the table and the list of files.
func (v *verifier) lookAtBundles(ctx context.Context, bundles []object) error {
	limit := peeksAhead
	if v.want.Data {
		limit = v.opts.Concurrency
	}
	look := func(ctx context.Context, o object) looked {
		b := v.lookAtBundle(ctx, o)
		if b.err == nil {
			v.lookAtParts(ctx, &b)
		}
		return b
	}
	return inOrder(ctx, limit, bundles, look, func(b looked) error {
		if b.err != nil {
			if !v.found.damage(b.version, b.Key, b.err) {
				return b.err
			}
			v.damaged[bundleKey(b.version)] = true
			v.chain.unreadable(b.object)
			return nil
		}
		if err := v.takeParts(b); err != nil {
			return err
		}
		if !v.chain.add(b.manifest) {
			return nil // no part of the history
		}
		return v.take(ctx, b)
	})
}

// take notes what a bundle of the history says.
func (v *verifier) take(ctx context.Context, b looked) error {
	v.done.Bundles++
	if b.read {
		v.done.Read++
	} else if v.want.Data {
		v.done.Resumed++
	}
	for _, ver := range b.manifest.Versions {
		if err := v.lookAtBrought(ctx, ver); err != nil {
			return err
		}
		v.done.Versions++
		v.done.Files++
		v.done.Bytes += ver.Commit.Size
		if err := v.table.commit(ctx, ver); err != nil {
			return err
		}
		for _, f := range ver.Files {
			v.done.Files++
			v.done.Bytes += f.Size
			if f.Kind == bundle.KindCheckpoint {
				continue
			}
			v.carried += f.Size
			if err := v.note(f.Path, fileNote{Is: isCarried, Version: ver.Version, Key: int64(b.version), Part: f.Part, Size: f.Size, SHA256: f.SHA256}); err != nil {
				return err
			}
		}
		n := deltalog.Version(ver.Version)
		if ver.FilesInBase || ver.Gap != nil {
			v.inBase[n] = true
		}
		for _, path := range ver.Absent {
			v.found.absent(n, b.Key, path)
			if err := v.note(path, fileNote{Is: isAbsent, Version: ver.Version}); err != nil {
				return err
			}
		}
	}
	for _, n := range b.needs {
		if !v.below.promises(deltalog.Version(n.Version)) {
			continue
		}
		if err := v.note(n.Path, fileNote{Is: isNeeded, Version: n.Version}); err != nil {
			return err
		}
	}
	v.progress(0, len(b.manifest.Versions), 0)
	if !b.read || len(b.badParts) > 0 {
		return nil
	}
	return v.state.add(b.object, b.manifest, b.needs)
}

// lookAtBundle reads the manifest of a bundle, or with Data all of it.
func (v *verifier) lookAtBundle(ctx context.Context, o object) looked {
	b := looked{object: o}
	if !v.want.Data {
		b.manifest, b.err = v.peek(ctx, o)
		return b
	}
	if known := v.state.get(o); known != nil {
		if b.manifest, b.err = v.peek(ctx, o); b.err == nil && known.isOf(b.manifest) {
			b.needs = known.Needs
			v.portion(o.Size).finish()
			return b
		}
	}
	if b = v.readBundle(ctx, o, v.maxListed); errors.Is(b.err, errOmitted) {
		return v.readBundle(ctx, o, 0)
	}
	return b
}

// readBundle reads a bundle to its end, which checks every digest, and its commits, of whose
// files it lists up to most.
func (v *verifier) readBundle(ctx context.Context, o object, most int) looked {
	b := looked{object: o, read: true}
	commits := map[int64]*deltalog.Commit{}
	b.manifest, b.err = v.decode(ctx, o, v.portion(o.Size), func(_ context.Context, m bundle.Member, r io.Reader) error {
		r = watched{r, v.session, nil}
		n, isCommit := deltalog.ParseCommitPath(m.Path)
		if !isCommit {
			_, err := io.Copy(io.Discard, r)
			return err
		}
		c, err := deltalog.ScanCommitUpTo(r, most)
		commits[int64(n)] = c
		return err
	})
	carried := map[string]bool{}
	for _, ver := range b.manifest.Versions {
		if b.err != nil {
			break
		}
		c := commits[ver.Version]
		if c.Omitted && !ver.FilesInBase && (ver.Gap == nil || len(ver.Files) > 0) {
			b.err = errOmitted
			break
		}
		b.err = at(o.version, o.Key, errors.Join(checkProtocol(c), checkNamed(ver, c)))
		for _, f := range ver.Files {
			carried[f.Path] = true
		}
		for _, path := range ver.Absent {
			carried[path] = true
		}
		for _, f := range c.Files {
			if !carried[f.Path] {
				b.needs = append(b.needs, need{ver.Version, f.Path})
			}
		}
	}
	return b
}

// need is a file that a version needs and an earlier one must have brought.
type need struct {
	Version int64  `json:"v"`
	Path    string `json:"path"`
}

// inOrder calls do for all of in, up to limit at once, and take with the results in
// the order of in, until it fails.
func inOrder[T, R any](ctx context.Context, limit int, in []T, do func(context.Context, T) R, take func(R) error) error {
	for result := range inorder.Seq(ctx, limit, slices.Values(in), do) {
		if err := take(result); err != nil {
			return err
		}
	}
	return nil
}

// isMissing reports whether err says that an object is not there.
func isMissing(err error) bool {
	return errors.Is(err, storage.ErrNotFound) || errors.Is(err, ErrGap)
}
