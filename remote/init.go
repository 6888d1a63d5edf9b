package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// marker is the note that init keeps beside an unfinished replica.
type marker struct {
	Format  int              `json:"format"`
	Lineage string           `json:"lineage"`
	Target  deltalog.Version `json:"target"`
}

// Init rebuilds the table from the store up to Options.Target,
// Options.TargetTime or the newest version, with as much of its history as
// Options.History says. The place of the table must be empty, or hold an
// unfinished Init of the same store, or the beginning of the very same history;
// the last two are carried on. Else it wraps ErrNotEmpty and touches nothing. It
// wraps ErrEmptyStore if there is nothing to restore, and ErrGap if the target,
// or a version that it takes to get there, is missing.
func (r *Replicator) Init(ctx context.Context) (Report, error) {
	return r.do(ctx, "init", (*session).init)
}

func (s *session) init(ctx context.Context) error {
	table, err := s.applier()
	if err != nil {
		return err
	}
	g, err := s.goal(ctx)
	if err != nil {
		return s.sayOldest(ctx, err, s.opts.Target, s.opts.TargetTime)
	}
	tip, err := s.initTip(ctx, table, g)
	if err != nil {
		return err
	}
	note, err := json.Marshal(marker{storeFormat, g.identity.Lineage, g.target})
	if err != nil {
		return err
	}
	if err := table.SetMarker(ctx, note); err != nil {
		return err
	}
	if err := table.Discard(ctx); err != nil { // left by an init that was killed
		return err
	}
	if err := s.initTo(ctx, table, tip, g); err != nil {
		s.discard(ctx, table)
		return err
	}
	return table.SetMarker(ctx, nil)
}

// initTo restores what lies between tip and the goal. Nobody reads the replica
// yet, so it takes the base wherever the history turns out to have a gap.
func (s *session) initTo(ctx context.Context, table LogApplier, tip *tipState, g *goal) (err error) {
	if (tip == nil || tip.version < g.in.first) && g.base != nil {
		if tip, err = s.beginAtBase(ctx, table, tip, g); err != nil {
			return err
		}
	} else {
		g.base = nil
	}
	if g.base == nil {
		s.foreseeTail(g, tip, true)
	}
	s.fresh = false
	s.expect(int(g.target - nextOf(tip) + 1))
	for {
		moved, err := s.initReplay(ctx, table, tip, g)
		if err == nil && nextOf(moved) <= g.target {
			err = storage.ErrNotFound
		}
		if errors.Is(err, storage.ErrNotFound) {
			return at(nextOf(moved), "", fmt.Errorf("%w: version %d: %w", ErrGap, int64(nextOf(moved)), bare(err)))
		}
		var gap *gapAt
		if !errors.As(err, &gap) {
			return err
		}
		if gap.version > g.target { // retention took the beginning meanwhile
			return at(nextOf(moved), "", gap)
		}
		if tip, err = s.restoreAfterGap(ctx, table, gap.version, moved != nil, g); err != nil {
			return err
		}
	}
}

// beginAtBase restores the base to begin with, or where that cannot be read or is of another
// history, an older one. One that is damaged is read once more, since it may have been on its
// way. Where none is left it stays at tip, if the first version of all comes next.
func (s *session) beginAtBase(ctx context.Context, table LogApplier, tip *tipState, g *goal) (*tipState, error) {
	for again := false; ; {
		at := *g.base
		restored, err := s.restoreBase(ctx, table, at, tip != nil || g.anew, g)
		if !errors.Is(err, errForeignBase) && !errors.As(err, new(brokenBase)) {
			return restored, err
		}
		if again = !again && errors.Is(err, ErrCorrupt) && errors.As(err, new(brokenBase)); again {
			s.log.Warn("a base is damaged, reading it again", logKey, baseKey(at), logError, err)
			s.discard(ctx, table)
			continue
		}
		g.listing.bases = slices.DeleteFunc(slices.Clone(g.listing.bases), func(b object) bool { return b.version == at })
		if g.base = s.beginning(g.listing, g.in, g.target); g.base == nil && g.in.first > 0 {
			later, found, lerr := s.baseAbove(ctx, max(at, g.in.first))
			if lerr != nil || !found || later > g.target {
				return tip, firstOf(lerr, err)
			}
			g.base = &later
		}
		s.log.Warn("a base is passed over", logKey, baseKey(at), logError, err)
		s.discard(ctx, table)
		if g.base == nil {
			return tip, nil
		}
	}
}

// foreseeTail foresees the objects that it takes to get from tip to the goal.
func (s *session) foreseeTail(g *goal, tip *tipState, all bool) {
	wanted := func(o object) bool { return o.version >= nextOf(tip) && o.version <= g.target }
	var tail []object
	for _, o := range slices.Concat(g.in.bundles, g.listing.parts) {
		if wanted(o) {
			tail = append(tail, o)
		}
	}
	s.foreseeObjects(tail, all)
}

func (s *session) initReplay(ctx context.Context, table LogApplier, tip *tipState, g *goal) (*tipState, error) {
	if nextOf(tip) > g.target {
		return tip, nil
	}
	if nextOf(tip) >= g.in.first { // the goal has looked at all manifests that this takes
		return s.replay(ctx, table, tip, g.target, g.in.from(nextOf(tip)).upTo(g.target))
	}
	seg, _, err := s.gapFreeEnd(ctx, g.listing, nextOf(tip), g.hints)
	if err != nil {
		return tip, err
	}
	if len(seg.bundles) == 0 && tip != nil { // a recorded gap may follow
		after, found, err := s.bridge(ctx, g.listing, tip.version)
		if err != nil {
			return tip, err
		}
		if found {
			return tip, &gapAt{after, nextOf(tip), after == g.listing.floor()}
		}
	}
	return s.replay(ctx, table, tip, g.target, seg.upTo(g.target))
}

// initTip decides whether init may work in this place, and from where on. nil
// means from the start.
func (s *session) initTip(ctx context.Context, table LogApplier, g *goal) (*tipState, error) {
	state, err := table.State(ctx)
	if err != nil {
		return nil, err
	}
	s.fresh = state.Empty
	ours, err := ownMarker(state.Marker, g.identity)
	if err != nil {
		return nil, err
	}
	if !state.Table {
		if state.Empty || ours {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: it holds files that are no table%s", ErrNotEmpty, suchAs(state.Other))
	}
	tip, err := table.Tip(ctx)
	if ours && isUnfinished(err) {
		g.anew = true
		return nil, checkNothingAbove(ctx, table, g.target)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: it holds a table that cannot be carried on: %w", ErrNotEmpty, err)
	}
	here, err := s.sameBeginning(ctx, table, tip, g, ours)
	if err == nil && tip < g.in.first && !ours && !s.opts.AcrossGap {
		err = fmt.Errorf("%w: a gap lies between version %d here and version %d", ErrGap, int64(tip), int64(g.in.first))
	}
	if errors.Is(err, ErrGap) && g.in.first == g.listing.floor() && tip < g.in.first {
		err = &gapAt{g.in.first, tip + 1, true}
	}
	return here, err
}

// suchAs names a file or folder that is in the way, if it is known.
func suchAs(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(", such as %q", name)
}

// isUnfinished reports whether this is what a log says that an init left which was
// stopped before its first commit: it may have a checkpoint, or a part of one. To
// begin anew does no harm whatever is there, since nothing is overwritten.
func isUnfinished(err error) bool {
	return errors.Is(err, ErrNoTable) || errors.Is(err, ErrUnsupported) || errors.Is(err, ErrCorrupt)
}

// ownMarker reports whether an init of this store was at work here; one of
// another store makes the place not empty.
func ownMarker(note []byte, id *identity) (bool, error) {
	if note == nil {
		return false, nil
	}
	var m marker
	if err := decodeRecord(note, &m); err != nil {
		return false, fmt.Errorf("%w: it holds an unfinished init that cannot be read: %w", ErrNotEmpty, err)
	}
	if m.Lineage != id.Lineage {
		return false, fmt.Errorf("%w: it holds an unfinished init of another store, lineage %s", ErrNotEmpty, m.Lineage)
	}
	return true, nil
}

// checkNothingAbove makes sure that what an init left which was stopped has no checkpoint
// above the target: readers would begin there.
func checkNothingAbove(ctx context.Context, table LogApplier, target deltalog.Version) error {
	reader, ok := table.(StateReader)
	if !ok {
		return nil
	}
	found, err := reader.Checkpoints(ctx, target+1)
	if err != nil || len(found) == 0 {
		return err
	}
	return fmt.Errorf("%w: it holds an unfinished init that begins at version %d, past the target %d", ErrNotEmpty, int64(found[len(found)-1].Version), int64(target))
}

// sameBeginning makes sure that the table here is the beginning of the history in the
// store. Retention may have taken its version since an init of ours was stopped, which then
// goes on from the base above.
func (s *session) sameBeginning(ctx context.Context, table LogApplier, tip deltalog.Version, g *goal, ours bool) (*tipState, error) {
	if tip > g.target {
		return nil, fmt.Errorf("%w: it holds a table at version %d, past the target %d", ErrNotEmpty, int64(tip), int64(g.target))
	}
	here, err := hashLocal(ctx, table, tip)
	if err != nil {
		return nil, err
	}
	there, err := s.historyVersion(ctx, g.listing, tip, fmt.Errorf("%w: version %d", ErrGap, int64(tip)))
	if errors.Is(err, ErrGap) && tip < g.in.first && ours {
		return &tipState{tip, here}, nil
	}
	if err != nil {
		return nil, err
	}
	if here != there.Commit.SHA256 {
		return nil, fmt.Errorf("%w: it holds another table%s: commit %d has sha256 %s here, %s in the store", ErrNotEmpty, s.tablesDiffer(ctx, g.identity, tip), int64(tip), here, there.Commit.SHA256)
	}
	return &tipState{tip, here}, nil
}
