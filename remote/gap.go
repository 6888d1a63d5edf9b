package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// findGap finds out whether the table's log still goes back to what the store
// has. Where it does not, its versions go on after a gap: at the oldest
// checkpoint from which the log is whole.
func (s *session) findGap(ctx context.Context, pos *position, tip deltalog.Version) error {
	pos.gap = nil
	from := pos.next()
	needed := from // the oldest commit that a push without a gap reads
	if pos.some {
		needed = min(pos.last, tip)
	}
	there, err := s.hasCommit(ctx, needed)
	if there && !pos.some && from > 0 {
		if from == pos.floor {
			return s.beginAtFloor(ctx, pos)
		}
		pos.gap = &gapAt{version: from} // a first push died before its first bundle
	}
	if err != nil || there {
		return err
	}
	if pos.some && tip <= pos.last {
		return at(needed, "", fmt.Errorf("%w: the table's log does not go back to it", ErrGap))
	}
	if tip < from {
		return at(needed, "", fmt.Errorf("%w: the table is at version %d, the history of the store begins at %d", ErrGap, int64(tip), int64(from)))
	}
	table, ok := s.table.(StateReader)
	if !ok {
		return at(needed, "", fmt.Errorf("%w: the log lacks the commit and the table cannot tell its state", ErrUnsupported))
	}
	start, err := table.Start(ctx)
	if err != nil {
		return err
	}
	if start < from {
		return at(needed, "", fmt.Errorf("%w: the log lacks the commit", ErrCorrupt))
	}
	if pos.lostFirst {
		return at(from, bundleKey(from), fmt.Errorf("%w: the history begins with it; it is missing, though later versions were stored, and the table's log does not go back to it", ErrGap))
	}
	pos.gap = &gapAt{version: start, from: from}
	if !pos.some {
		pos.gap.from = 0
	}
	s.log.Warn("the table's log does not go back to what the store has", "from", pos.gap.from, logVersion, start)
	if !pos.some {
		return nil
	}
	return s.checkTableID(ctx, pos, start)
}

// beginAtFloor lets a push go on at the floor, whose bundle was lost, from what the base there
// proves to be the table of the store.
func (s *session) beginAtFloor(ctx context.Context, pos *position) error {
	v := pos.floor
	b, err := s.readWholeBase(ctx, object{version: v, Info: storage.Info{Key: baseKey(v), Size: -1}})
	if err != nil {
		return at(v, baseKey(v), err)
	}
	here, err := hashLocal(ctx, s.table, v)
	if err != nil {
		return at(v, "", err)
	}
	if here != b.Commit.SHA256 {
		return diverged(v, here, b.Commit.SHA256)
	}
	before, err := hashLocal(ctx, s.table, v-1)
	if errors.Is(err, fs.ErrNotExist) {
		return at(v-1, "", fmt.Errorf("%w: the bundle of version %d was lost, and the table's log does not go back to the one before", ErrGap, int64(v)))
	}
	if err != nil {
		return at(v-1, "", err)
	}
	pos.some, pos.last, pos.commit, pos.lostFirst = true, v-1, before, false
	pos.time, pos.runs, pos.base = b.Timestamp-1, runHints{From: v}, sinceBase{Version: &v, Live: b.Live.Bytes}
	return nil
}

// confirmGap looks for the gap once more, from where the store is by its listing.
// Memory and the head may lag behind another pusher, which costs nothing where
// versions are settled one by one; but a gap is recorded for good.
func (s *session) confirmGap(ctx context.Context, pos *position, tip deltalog.Version) error {
	found, err := s.locateByList(ctx, pos.identity)
	if err != nil {
		return err
	}
	found.tag = pos.tag
	*pos = *found
	s.endIsSure = true
	return s.findGap(ctx, pos, tip)
}

// checkAfterGap makes sure, before all that is live goes up, that no bundle is in the way
// of the one that records the gap. It may be one of another pusher, who has come further
// since the store was looked at: then the next push sees that.
func (s *session) checkAfterGap(ctx context.Context, pos *position) error {
	v := pos.gap.version
	m, err := s.readManifest(ctx, bundleAt(v))
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil || m.Versions[0].Gap != nil {
		return err
	}
	found, err := s.locateByList(ctx, pos.identity)
	if err != nil {
		return err
	}
	if found.end() > pos.end() {
		return at(v, bundleKey(v), fmt.Errorf("%w: another pusher has come to version %d meanwhile, push again", storage.ErrUnavailable, int64(found.last)))
	}
	return noGap(v)
}

// noGap: a bundle is there where one would record a gap.
func noGap(v deltalog.Version) error {
	return at(v, bundleKey(v), fmt.Errorf("%w: the stored bundle does not record the gap before it: it is left of a push that was cut off before the log was cleaned up; remove it and push again", ErrDiverged))
}

func (s *session) hasCommit(ctx context.Context, v deltalog.Version) (bool, error) {
	f, err := s.table.OpenCommit(ctx, v)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, at(v, "", err)
	}
	return true, f.Close()
}

// checkTableID makes sure that the store was begun for this table, where no
// chain of hashes proves it. The id may change within a history, so a change
// looks like another table; then an operator decides.
func (s *session) checkTableID(ctx context.Context, pos *position, v deltalog.Version) error {
	id, err := s.tableID(ctx, v)
	if err == nil && id != pos.identity.TableID {
		err = fmt.Errorf("%w: the store was begun for table id %q, this is %q", ErrDiverged, pos.identity.TableID, id)
	}
	return at(v, "", err)
}

// tableID returns the id of the table at version v, by the commit if it says,
// else by the state.
func (s *session) tableID(ctx context.Context, v deltalog.Version) (string, error) {
	c, err := s.scanLocal(ctx, v)
	if err != nil {
		return "", err
	}
	table, ok := s.table.(StateReader)
	switch {
	case c.Metadata != nil:
		return c.Metadata.ID, nil
	case v == 0 || !ok:
		return "", nil
	}
	return s.stateID(ctx, table, v)
}

// stateID returns the id of the table in its state at version v.
func (s *session) stateID(ctx context.Context, table StateReader, v deltalog.Version) (string, error) {
	state, err := table.Snapshot(ctx, v, &deltalog.SnapshotOptions{Memory: s.stateMemory()})
	if err != nil {
		return "", err
	}
	return state.Metadata.ID, state.Close()
}
