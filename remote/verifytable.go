package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"sync"

	"crypto/sha256"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// FileLister is the ability of a LogReader that Verify needs to name files which no
// version has.
type FileLister interface {
	// Files yields the decoded paths of all files in the table's folder, but those of
	// the log, of this library, and hidden ones (".part-0.parquet.crc").
	Files(ctx context.Context) iter.Seq2[string, error]
}

var _ FileLister = (*deltalog.Dir)(nil)

// tableCheck compares the table with the store. A nil one does nothing.
type tableCheck struct {
	v      *verifier
	tip    deltalog.Version
	oldest deltalog.Version // commit that was found here
	seen   deltalog.Version // newest version that the store has, negative if none

	mu   sync.Mutex // guards what follows
	done TableVerification
	same bool
}

// newTableCheck returns nil if there is no table to compare.
func (v *verifier) newTableCheck(ctx context.Context) (*tableCheck, error) {
	if _, none := v.Replicator.table.(noTable); none {
		return nil, nil
	}
	tip, err := v.Replicator.table.Tip(ctx)
	if err != nil {
		return nil, err
	}
	return &tableCheck{v: v, tip: tip, oldest: -1, seen: -1, same: true, done: TableVerification{Version: tip}}, nil
}

// commit compares the commit of one version.
func (t *tableCheck) commit(ctx context.Context, ver bundle.Version) error {
	v := deltalog.Version(ver.Version)
	if t == nil || v <= t.seen {
		return nil // a second bundle that carries it, with the same commit
	}
	t.seen = v
	if v > t.tip {
		t.done.Behind++
		return nil
	}
	f, err := t.v.Replicator.table.OpenCommit(ctx, v)
	if errors.Is(err, fs.ErrNotExist) {
		if t.oldest >= 0 {
			t.differs(FindingMissing, v, v.CommitPath(), "the table has versions below and above it")
		}
		return nil
	}
	if err != nil {
		return at(v, "", err)
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return at(v, "", err)
	}
	if t.oldest < 0 {
		t.oldest = v
	}
	here := bundle.Digest(h.Sum(nil))
	switch {
	case here != ver.Commit.SHA256:
		t.differs(FindingDiverged, v, v.CommitPath(), fmt.Sprintf("commit sha256 %s here, %s in the store", here, ver.Commit.SHA256))
	case !f.Modified.Equal(ver.Modified):
		t.v.found.add(Finding{Kind: FindingTime, Version: &v, Path: v.CommitPath(), Detail: fmt.Sprintf("modified %s here, %s in the store: time travel by timestamp may differ", f.Modified.UTC(), ver.Modified)})
		fallthrough
	default:
		t.done.Commits++
	}
	return nil
}

// differs notes that the table is not the same, and why.
func (t *tableCheck) differs(kind FindingKind, v deltalog.Version, path, detail string) {
	t.mu.Lock()
	t.same = false
	t.mu.Unlock()
	t.v.found.add(Finding{Kind: kind, Version: &v, Path: path, OfTable: kind != FindingDiverged, Detail: detail})
}

// noteFiles notes which paths are live in the table, and which files lie there.
func (t *tableCheck) noteFiles(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.noteLive(ctx); err != nil {
		return err
	}
	lister, ok := t.v.Replicator.table.(FileLister)
	if !ok {
		return nil
	}
	for path, err := range lister.Files(ctx) {
		if err != nil {
			return err
		}
		if err := t.v.note(path, fileNote{Is: isHere}); err != nil {
			return err
		}
	}
	return nil
}

func (t *tableCheck) noteLive(ctx context.Context) error {
	table, ok := t.v.Replicator.table.(StateReader)
	if !ok {
		return fmt.Errorf("%w: the table cannot tell its state", ErrUnsupported)
	}
	state, err := table.Snapshot(ctx, t.tip, &deltalog.SnapshotOptions{Memory: t.v.opts.Memory / 4})
	if err != nil {
		return at(t.tip, "", err)
	}
	for path, lerr := range state.LiveFiles() {
		if err = lerr; err == nil {
			err = t.v.note(path, fileNote{Is: isLive, Version: int64(t.tip)})
		}
		if err != nil {
			break
		}
	}
	return errors.Join(err, state.Close())
}

// file compares one file with what the store says of it.
func (t *tableCheck) file(ctx context.Context, path string, notes []fileNote) error {
	var stored *fileNote // the newest that is not above the table
	absent, live, here := false, false, false
	for _, n := range notes {
		switch {
		case n.Is == isLive:
			live = true
		case n.Is == isHere:
			here = true
		case n.Version > int64(t.tip):
		case n.Is == isAbsent:
			absent = true
		case n.Is == isCarried && (stored == nil || n.Version >= stored.Version):
			stored = &n
		}
	}
	switch {
	case stored != nil:
		return t.compare(ctx, path, *stored, live, absent)
	case live && absent:
		_, found, err := t.v.session.fileSize(ctx, path)
		if err != nil || found {
			return err
		}
		t.absent(path)
	case live && t.tip <= t.seen:
		t.mu.Lock()
		t.same = false
		t.mu.Unlock()
		t.v.found.add(Finding{Kind: FindingMissing, Version: &t.tip, Path: path, Detail: "the table's newest version needs it, and nothing in the store that can be read has it"})
	case here && !live && t.v.chain.partial:
		t.mu.Lock()
		t.done.Unknown++
		t.mu.Unlock()
	case here && !live && t.tip <= t.seen:
		t.differs(FindingExtra, t.tip, path, "no version in the store has it")
	}
	return nil
}

// compare looks at a file that the store has.
func (t *tableCheck) compare(ctx context.Context, path string, want fileNote, live, absent bool) error {
	of := t.v.portion(want.Size)
	f, size, err := t.v.Replicator.table.OpenFile(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		of.finish()
		t.gone(path, want, live, absent)
		return nil
	}
	if err != nil {
		return err
	}
	h := sha256.New()
	if t.v.tableData && size == want.Size {
		_, err = io.Copy(h, watched{f, t.v.session, of})
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	v, here := deltalog.Version(want.Version), bundle.Digest(h.Sum(nil))
	switch {
	case size != want.Size:
		t.differs(FindingDifferent, v, path, fmt.Sprintf("%d bytes here, %d in the store", size, want.Size))
	case t.v.tableData && here != want.SHA256:
		t.differs(FindingDifferent, v, path, fmt.Sprintf("sha256 %s here, %s in the store", here, want.SHA256))
	default:
		t.mu.Lock()
		t.done.Files++
		t.done.Bytes += size
		t.mu.Unlock()
	}
	return nil
}

// gone notes a file that the store has and the table has not.
func (t *tableCheck) gone(path string, want fileNote, live, absent bool) {
	switch {
	case live && absent:
		t.absent(path)
		return
	case live:
		t.differs(FindingMissing, deltalog.Version(want.Version), path, "the table's newest version needs it")
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.done.Vacuumed++
}

// absent notes a file that the table's newest version needs, that it lacks, and that was gone
// at the source before it was pushed. An older version may be so: it is at the source, too.
func (t *tableCheck) absent(path string) {
	t.mu.Lock()
	t.done.Absent++
	t.mu.Unlock()
	if t.tip >= t.seen {
		t.differs(FindingMissing, t.tip, path, "the table's newest version needs it, and it was gone before it was pushed")
	}
}

// conclude says what it comes to.
func (t *tableCheck) conclude(v *verifier) {
	if t == nil {
		return
	}
	t.done.Ahead = max(0, int64(t.tip-t.seen))
	t.done.Identical = t.same && t.done.Ahead == 0 && t.done.Behind == 0
	v.done.Table = &t.done
}
