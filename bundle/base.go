package bundle

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
)

// Base describes a base: a restart point of a history at one version. With it
// and the bundles that its index refers to, the table is rebuilt at that version
// without what came before.
type Base struct {
	Format int    `json:"format"`
	Writer Writer `json:"writer"`
	// Version is the table version that the base stands for.
	Version int64 `json:"version"`
	// Commit is the commit file of that version, verbatim; Modified, Timestamp
	// and Operation are its, as in Version.
	Commit    File      `json:"commit"`
	Modified  time.Time `json:"modified"`
	Timestamp int64     `json:"timestamp"`
	Operation string    `json:"operation,omitempty"`
	// Checkpoint are the files of one complete checkpoint of the version.
	Checkpoint []File `json:"checkpoint"`
	// Files are the live files that this base itself carries.
	Files []File `json:"files"`
	// Index is the member that lists all live files, an [IndexEntry] per line.
	Index File `json:"index"`
	// Live counts what Index lists, in files and bytes.
	Live Totals `json:"live"`
	// Absent are paths that the version needs and that the source no longer had;
	// a later version had removed them.
	Absent []string `json:"absent,omitempty"`
	// Previous is the version of the base before this one; nil if there is none
	// or it is not known.
	Previous *int64 `json:"previous,omitempty"`
}

// Totals counts files and their bytes.
type Totals struct {
	Files int64 `json:"files"`
	Bytes int64 `json:"bytes"`
}

// EncodeBase writes a base to w as Encode writes a bundle: first the carried
// files, then the checkpoint, the commit, the index, and at the end b itself.
// Sizes, digests and places are filled in, and so are the totals of b.Live as far
// as the carried files make them up. Under [IndexPath] open yields the index
// without these, which are added here. It returns the finished description;
// errors are those of Encode.
func (c *Codec) EncodeBase(ctx context.Context, w io.Writer, b Base, open OpenFunc) (Base, error) {
	b, err := c.draftBase(b)
	if err != nil {
		return Base{}, err
	}
	p := c.packer(ctx, w, open)
	defer p.frames.abandon()
	slices.SortFunc(b.Files, func(f, g File) int { return cmp.Compare(f.Path, g.Path) })
	if err := p.base(&b); err != nil {
		return Base{}, err
	}
	raw, err := marshal(b)
	if err != nil {
		return Base{}, err
	}
	if err := p.last(basePath(b.Version), raw, b.Modified); err != nil {
		return Base{}, err
	}
	return b, nil
}

// base packs the members and completes b on the way.
func (p *packer) base(b *Base) error {
	for _, f := range b.parts() {
		if f == &b.Index {
			if err := p.indexCarried(b); err != nil {
				return inMember(f.Path, err)
			}
		}
		if err := p.add(f, b.Modified); err != nil {
			return inMember(f.Path, err)
		}
	}
	return p.settle()
}

// indexCarried makes the index that is opened from now on end in the files that
// b carries, whose places are known only here.
func (p *packer) indexCarried(b *Base) error {
	if err := p.settle(); err != nil {
		return err
	}
	var lines []byte
	for _, f := range b.Files {
		var err error
		if lines, err = AppendIndex(lines, IndexEntry{File: f, Version: b.Version, InBase: true}); err != nil {
			return err
		}
		b.Live.Files++
		b.Live.Bytes += f.Size
	}
	open := p.open
	p.open = func(ctx context.Context, path string) (io.ReadCloser, int64, error) {
		r, size, err := open(ctx, path)
		if err != nil {
			return nil, 0, err
		}
		both := io.MultiReader(r, bytes.NewReader(lines))
		return struct {
			io.Reader
			io.Closer
		}{both, r}, size + int64(len(lines)), nil
	}
	return nil
}

func (c *Codec) draftBase(b Base) (Base, error) {
	if b.Format != 0 && b.Format != Format {
		return Base{}, fmt.Errorf("format %d, this program writes %d: %w", b.Format, Format, ErrUnsupported)
	}
	b = b.clone()
	b.Format = Format
	b.Commit.Path, b.Index.Path = commitPath(b.Version), IndexPath(b.Version)
	parts := b.parts()
	for _, f := range parts {
		f.unmeasure()
	}
	if len(parts) > c.limits.MaxMembers {
		return Base{}, fmt.Errorf("%d members, limit is %d: %w", len(parts), c.limits.MaxMembers, ErrTooLarge)
	}
	return b, b.check()
}

// DecodeBase reads one base from r to its end, as Decode reads a bundle: the
// members go to put in the order of the archive, the index among them, and are
// void after an error. Errors are those of Decode.
func (c *Codec) DecodeBase(ctx context.Context, r io.Reader, put PutFunc) (Base, error) {
	var order baseOrder
	var b Base
	err := c.decode(ctx, r, put, &order, func(raw []byte) (expects, error) {
		var err error
		b, err = parseBase(raw)
		return b, err
	})
	if err != nil {
		return Base{}, err
	}
	return b, nil
}

// baseOrder knows which members of a base may stand where.
type baseOrder struct {
	version int64
	begun   bool // the commit was there
	indexed bool
}

func (o *baseOrder) place(path string) (last bool, err error) {
	version, isCommit := parseCommitPath(path)
	switch {
	case isCommit && o.begun:
		return false, corruptf("a second commit")
	case isCommit:
		o.version, o.begun = version, true
		return false, nil
	case !o.begun:
		return false, checkMemberPath(path)
	case !o.indexed && path == IndexPath(o.version):
		o.indexed = true
		return false, nil
	case o.indexed && path == basePath(o.version):
		return true, nil
	}
	return false, corruptf("stands after the commit")
}

func (b Base) clone() Base {
	b.Modified = b.Modified.UTC().Round(0)
	b.Checkpoint = append([]File{}, b.Checkpoint...)
	b.Files = append([]File{}, b.Files...)
	b.Absent = slices.Clone(b.Absent)
	if b.Previous != nil {
		previous := *b.Previous
		b.Previous = &previous
	}
	return b
}

// parts lists the members in their order.
func (b *Base) parts() []*File {
	all := make([]*File, 0, len(b.Files)+len(b.Checkpoint)+2)
	for _, files := range [][]File{b.Files, b.Checkpoint} {
		for i := range files {
			all = append(all, &files[i])
		}
	}
	return append(all, &b.Commit, &b.Index)
}

func (b Base) members() iter.Seq[expected] {
	return func(yield func(expected) bool) {
		for _, f := range b.parts() {
			if !yield(expected{*f, b.Modified}) {
				return
			}
		}
	}
}

func (b Base) modified() time.Time { return b.Modified }

func parseBase(raw []byte) (Base, error) {
	var b Base
	if err := parseLast(raw, &b); err != nil {
		return Base{}, err
	}
	if err := b.check(); err != nil {
		return Base{}, err
	}
	for _, f := range b.parts() {
		if err := f.checkDigest(); err != nil {
			return Base{}, err
		}
	}
	return b.clone(), nil
}

// check tests what a base says as far as that goes without its members.
func (b Base) check() error {
	if err := b.checkCommit(); err != nil {
		return err
	}
	for _, f := range b.parts() {
		if err := f.checkHere(); err != nil {
			return err
		}
	}
	paths := make(map[string]bool)
	for _, f := range slices.Concat(b.Files, b.Checkpoint) {
		if err := f.check(b.Version); err != nil {
			return err
		}
		if err := checkNew(paths, f.Path); err != nil {
			return err
		}
	}
	for _, path := range b.Absent {
		if err := CheckPath(path); err != nil {
			return fmt.Errorf("absent: %w", err)
		}
		if err := checkNew(paths, path); err != nil {
			return fmt.Errorf("absent: %w", err)
		}
	}
	for _, f := range b.Files {
		if f.Kind == KindCheckpoint {
			return corruptf("file %q of the checkpoint stands among the files", f.Path)
		}
	}
	if len(b.Checkpoint) == 0 {
		return corruptf("no checkpoint")
	}
	for _, f := range b.Checkpoint {
		version, _ := parseCheckpointPath(f.Path)
		if f.Kind != KindCheckpoint || version != b.Version && !strings.HasPrefix(f.Path, sidecarDir) {
			return corruptf("file %q of kind %.80q is not of a checkpoint of version %d", f.Path, f.Kind, b.Version)
		}
	}
	return nil
}

func (b Base) checkCommit() error {
	switch {
	case b.Version < 0:
		return corruptf("negative version")
	case b.Commit.Path != commitPath(b.Version) || b.Commit.Kind != "" || b.Commit.Size < 0:
		return corruptf("commit %q of kind %.80q and size %d", b.Commit.Path, b.Commit.Kind, b.Commit.Size)
	case b.Index.Path != IndexPath(b.Version) || b.Index.Kind != "" || b.Index.Size < 0:
		return corruptf("index %q of kind %.80q and size %d", b.Index.Path, b.Index.Kind, b.Index.Size)
	case b.Live.Files < 0 || b.Live.Bytes < 0:
		return corruptf("%d live files of %d bytes", b.Live.Files, b.Live.Bytes)
	case b.Previous != nil && (*b.Previous < 0 || *b.Previous >= b.Version):
		return corruptf("base of version %d after one of version %d", b.Version, *b.Previous)
	}
	if err := checkModified(b.Modified); err != nil {
		return err
	}
	if err := checkUTF8(b.Operation, b.Writer.Program, b.Writer.Version, b.Writer.Host); err != nil {
		return err
	}
	if err := b.Commit.checkPlace(); err != nil {
		return err
	}
	return b.Index.checkPlace()
}

// IndexPath returns the path of the index in a base.
func IndexPath(version int64) string { return versionDir(version) + "index.jsonl" }

func basePath(version int64) string { return versionDir(version) + "base.json" }
