package lake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/pondworks/sluice/deltalog"
)

// Apply publishes versions in order, as deltalog.Dir.Apply does: the files of
// all, in parallel, and then their commits, one by one, each by create-if-absent.
// An object is durable when it was created, so Batch.Relaxed changes nothing, and
// its time is the service's, so Change.Modified is not kept.
//
// It returns how many of the changes are visible, also with an error, which is
// about the first of the others. The same commit being there already is success,
// and so is a file with the same bytes; other content wraps deltalog.ErrConflict.
// Further errors are those of deltalog.Dir.Apply. A version that begins the log
// above others (Change.Jump) wraps deltalog.ErrUnsupported where the store cannot
// delete, before any of it is in the log.
//
// If an attempt to create a commit ends without an answer, the version may become
// visible after Apply returned; applying it again settles that by content.
func (t *Table) Apply(ctx context.Context, b deltalog.Batch) (applied int, err error) {
	if err := check(b); err != nil {
		return 0, err
	}
	for applied < len(b.Changes) && err == nil {
		var n int
		n, err = t.round(ctx, b.Changes[applied:])
		applied += n
	}
	return applied, err
}

func check(b deltalog.Batch) error {
	if err := b.Check(); err != nil {
		return err
	}
	for i := range b.Changes {
		for _, f := range b.Changes[i].All() {
			if err := checkPath(f.Path); err != nil {
				return err
			}
		}
	}
	return nil
}

// round applies the first change and as many of the others as can go with it.
func (t *Table) round(ctx context.Context, changes []deltalog.Change) (int, error) {
	first := &changes[0]
	if len(first.Checkpoint) > 0 {
		return t.begin(ctx, first)
	}
	there, err := t.lookFor(ctx, first)
	if err != nil {
		return 0, err
	}
	if there {
		return 1, t.made(first)
	}
	placed, err := t.publishEach(ctx, changes[:roundOf(changes)])
	for i := range changes[:placed] {
		if cerr := t.commit(ctx, &changes[i]); cerr != nil {
			return i, cerr
		}
	}
	return placed, err
}

// roundOf returns how many of the changes can have their files published in any
// order: a path that comes again with other bytes must find the first ones there,
// and a version that begins the log goes alone.
func roundOf(changes []deltalog.Change) int {
	published := map[string]deltalog.Staged{}
	for i := range changes {
		if i > 0 && len(changes[i].Checkpoint) > 0 {
			return i
		}
		for _, f := range changes[i].Files {
			if before, there := published[f.Path]; there && before.SHA256 != f.SHA256 {
				return i
			}
			published[f.Path] = f
		}
	}
	return len(changes)
}

// lookFor reports whether the version is there with the same commit, and makes
// sure that the one before is. Where this Table made or saw the one before, that
// needs no request: should the version be there nevertheless, its creation tells.
func (t *Table) lookFor(ctx context.Context, c *deltalog.Change) (there bool, err error) {
	if c.Version > 0 && t.knows(c.Version-1) {
		return false, nil
	}
	names, err := tableLog{t}.Names(ctx, max(c.Version-1, 0))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	has := func(v deltalog.Version) bool {
		return slices.Contains(names, v.String()+".json")
	}
	if has(c.Version) {
		return true, t.requireSame(ctx, c.Commit)
	}
	if c.Version > 0 && !has(c.Version-1) {
		return false, fmt.Errorf("the version before: %s: %w", (c.Version - 1).CommitPath(), fs.ErrNotExist)
	}
	return false, nil
}

func (t *Table) knows(v deltalog.Version) bool {
	if _, seen := t.seen.get(v.CommitPath()); seen {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last != nil && *t.last == v
}

// made notes that the version is visible and drops what is left of its files.
func (t *Table) made(c *deltalog.Change) error {
	t.mu.Lock()
	v := c.Version
	t.last = &v
	t.mu.Unlock()
	var err error
	for _, f := range c.All() {
		err = errors.Join(err, t.spool.drop(f))
	}
	return err
}

// commit makes a version visible whose files are in place.
func (t *Table) commit(ctx context.Context, c *deltalog.Change) error {
	if err := t.publishOlder(ctx, c); err != nil {
		return err
	}
	if err := t.publish(ctx, c.Commit); err != nil {
		t.mu.Lock()
		t.last = nil // what is there has to be looked at
		t.mu.Unlock()
		return err
	}
	return t.made(c)
}

// publishOlder puts the files of an earlier checkpoint into the log. It is only
// a help, so where one of its names is taken by other bytes the rest is left out.
func (t *Table) publishOlder(ctx context.Context, c *deltalog.Change) error {
	for _, f := range deltalog.SidecarsFirst(c.Older) {
		err := t.publish(ctx, f)
		if errors.Is(err, deltalog.ErrConflict) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begin applies a version that the log begins with: its checkpoint comes before
// its commit, since some engines would open the commit alone with rows missing,
// and sidecars before the checkpoint that names them.
func (t *Table) begin(ctx context.Context, c *deltalog.Change) (int, error) {
	names, err := tableLog{t}.Names(ctx, 0)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if slices.Contains(names, c.Version.String()+".json") {
		if err := t.requireSame(ctx, c.Commit); err != nil {
			return 0, err
		}
		return 1, errors.Join(t.made(c), t.dropBelow(ctx, c, names))
	}
	if err := c.CheckBegin(names); err != nil {
		return 0, err
	}
	if err := t.checkDrop(c, names); err != nil {
		return 0, err
	}
	if err := t.publishAll(ctx, c.Files); err != nil {
		return 0, err
	}
	for _, f := range deltalog.SidecarsFirst(c.Checkpoint) {
		if err := t.publish(ctx, f); err != nil {
			return 0, err
		}
	}
	if err := t.commit(ctx, c); err != nil {
		return 0, err
	}
	return 1, t.dropBelow(ctx, c, names)
}

// checkDrop refuses a jump whose end this store could not reach.
func (t *Table) checkDrop(c *deltalog.Change, names []string) error {
	if t.deleter == nil && len(c.Below(names)) > 0 {
		return fmt.Errorf("%w: to leave out versions takes a store that can delete: what the log has below version %d must go", deltalog.ErrUnsupported, int64(c.Version))
	}
	return nil
}

// dropBelow removes from the log what lies below a version that it jumped to, as
// metadata cleanup does. The hint goes first, since it may point there; after
// that the newest checkpoint makes the log whole at any moment.
func (t *Table) dropBelow(ctx context.Context, c *deltalog.Change, names []string) error {
	old := c.Below(names)
	if len(old) == 0 {
		return nil
	}
	if err := t.checkDrop(c, names); err != nil {
		return err
	}
	if err := t.deleter.Delete(ctx, deltalog.LastCheckpointPath); err != nil {
		return err
	}
	t.seen.forget()
	return t.deleteAll(ctx, old)
}
