package deltalog

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

// errCheckpoint marks the errors after which an older checkpoint may do.
var errCheckpoint = errors.New("checkpoint cannot be read")

// builder gathers a state from a checkpoint and commits, oldest first.
type builder struct {
	s          *Snapshot
	version    Version // whose actions are being taken
	protocolAt Version // where the newest protocol was stated
	n          uint64  // actions taken so far
	sidecars   []sidecar
	key        []byte
}

func buildSnapshot(ctx context.Context, log LogFiles, v Version, from *Checkpoint, opts SnapshotOptions) (*Snapshot, error) {
	b := &builder{s: &Snapshot{Version: v, options: opts, state: &sorter{limit: opts.Memory, dir: opts.TempDir}}}
	if err := b.build(ctx, log, from); err != nil {
		return nil, errors.Join(err, b.s.Close())
	}
	b.s.state.settle()
	return b.s, nil
}

func (b *builder) build(ctx context.Context, log LogFiles, from *Checkpoint) error {
	next := Version(0)
	if from != nil {
		if err := b.checkpoint(ctx, log, *from); err != nil {
			if isUnreadable(err) {
				err = fmt.Errorf("%w: %s: %w", errCheckpoint, from.Files[0], err)
			}
			return err
		}
		b.s.Base, b.s.BaseFiles = &from.Version, b.files(from)
		next = from.Version + 1
	}
	err := eachCommit(ctx, log, next, b.s.Version, func(v Version, r io.Reader) error {
		b.version = v
		return eachAction(ctx, r, b.take, "add", "remove", "txn", "domainMetadata", "metaData", "protocol", "commitInfo", "checkpoint", "contentRoot")
	})
	if err != nil {
		return err
	}
	if err := b.complete(); err != nil {
		return err
	}
	if b.s.Base != nil && *b.s.Base == b.s.Version {
		if err := b.ownCommit(ctx, log); err != nil {
			return err
		}
	}
	return b.s.Protocol.Check()
}

// files returns the paths of a checkpoint's files, of which the sidecars are known by now.
func (b *builder) files(of *Checkpoint) []string {
	files := slices.Clone(of.Files)
	for _, s := range b.sidecars {
		files = append(files, s.path)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// complete refuses a state that no table can have.
func (b *builder) complete() error {
	if b.s.Protocol == nil || b.s.Metadata == nil {
		return fmt.Errorf("%w: no protocol or no metaData action", ErrCorrupt)
	}
	return nil
}

func (b *builder) checkpoint(ctx context.Context, log LogFiles, c Checkpoint) error {
	b.version = c.Version
	columns := readColumns()
	for _, file := range c.Files {
		if err := eachCheckpointAction(ctx, log, file, columns, b.take); err != nil {
			return err
		}
	}
	sidecars := b.sidecars
	if err := checkSidecars(ctx, log, sidecars); err != nil {
		return err
	}
	for _, s := range sidecars {
		err := eachCheckpointAction(ctx, log, s.path, columns, func(kind string, value []byte) error {
			if kind != "add" && kind != "remove" {
				return fmt.Errorf("%w: a sidecar with a %q action", ErrCorrupt, kind)
			}
			return b.take(kind, value)
		})
		if err != nil {
			return fmt.Errorf("%s: %w", s.path, err)
		}
	}
	return b.complete()
}

// errFound ends the reading of a commit early.
var errFound = errors.New("found")

// ownCommit reads the in-commit timestamp of a version whose state came from
// its checkpoint: the first action has it (Delta protocol, "In-Commit
// Timestamps"). The commit need not be there.
func (b *builder) ownCommit(ctx context.Context, log LogFiles) error {
	file, err := log.Open(ctx, b.s.Version.CommitPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = eachValue(contextReader{ctx, file}, func(raw []byte) error {
		kind, value, err := oneOf(raw, "commitInfo")
		if err != nil {
			return err
		}
		if kind != "" {
			b.commitInfo(value)
		}
		return errFound
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return errors.Join(err, file.Close())
}

func (b *builder) commitInfo(value []byte) {
	info := newScan(0)
	info.commitInfo(value)
	if b.s.InCommitTimestamp == nil {
		b.s.InCommitTimestamp = info.c.InCommitTimestamp
	}
}

// take takes in one action of b.version.
func (b *builder) take(kind string, value []byte) (err error) {
	switch kind {
	case "add", "remove":
		return b.file(kind, value)
	case "txn":
		return b.named(kindTxn, "appId", value)
	case "domainMetadata":
		return b.named(kindDomain, "domain", value)
	case "metaData":
		b.s.Metadata, err = parseMetadata(value)
		b.s.metadataJSON = bytes.Clone(value)
		return err
	case "protocol":
		return b.protocol(value)
	case "commitInfo":
		if b.version == b.s.Version {
			b.commitInfo(value)
		}
	case "sidecar":
		s, err := parseSidecar(value)
		b.sidecars = append(b.sidecars, s)
		return err
	case "checkpointMetadata":
		f := [...]field{{name: "version"}}
		if err := pick(value, f[:]); err != nil {
			return err
		}
		if string(f[0].value) != fmt.Sprint(int64(b.version)) {
			return fmt.Errorf("%w: a checkpoint of version %d says that it is of %s", ErrCorrupt, int64(b.version), f[0].value)
		}
	}
	return nil
}

func (b *builder) protocol(value []byte) error {
	p, err := parseProtocol(value)
	if err != nil {
		return err
	}
	if old := b.s.Protocol; old != nil && b.protocolAt == b.version && !old.equal(p) {
		return fmt.Errorf("%w: one version states two protocols", ErrCorrupt)
	}
	b.s.Protocol, b.protocolAt, b.s.protocolJSON = p, b.version, bytes.Clone(value)
	return nil
}

// Kinds of record in a state, in the order in which a checkpoint has them. They
// begin a record's key; a file's value begins with what it is.
const (
	kindTxn    = 't'
	kindDomain = 'u'
	kindFile   = 'v'

	fileAdded   = 'a'
	fileRemoved = 'r'
)

// file takes in an add or a remove, the later of which wins for each pair of
// path as stated and deletion vector. They are sorted by decoded path.
func (b *builder) file(kind string, value []byte) error {
	a, err := parseFileAction(value)
	if err != nil {
		return err
	}
	vector := ""
	if a.vector != nil {
		if vector, err = vectorID(a.vector); err != nil {
			return err
		}
	}
	is, order := byte(fileRemoved), uint64(b.version)<<1
	if kind == "add" { // wins over a remove of the same commit, wherever they stand
		is, order = fileAdded, order|1
	}
	b.key = appendKey(append(b.key[:0], kindFile), unescape(a.rawPath), a.rawPath, vector)
	return b.add(order, append([]byte{is}, value...))
}

// named takes in an action of which the last of each name counts.
func (b *builder) named(kind byte, name string, value []byte) error {
	f := [...]field{{name: name}}
	if err := pick(value, f[:]); err != nil {
		return err
	}
	s, err := text(f[0].value)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	b.key = appendKey(append(b.key[:0], kind), s)
	return b.add(uint64(b.version)<<1, value)
}

// add completes the key so that the newest comes first.
func (b *builder) add(order uint64, value []byte) error {
	b.n++
	b.key = binary.BigEndian.AppendUint64(b.key, ^order)
	b.key = binary.BigEndian.AppendUint64(b.key, ^b.n)
	return b.s.state.add(b.key, value)
}

// appendKey appends texts so that bytes sort as the texts do, one after the
// other, and no key is the beginning of another.
func appendKey(key []byte, texts ...string) []byte {
	for _, s := range texts {
		if strings.Contains(s, "\x00") {
			s = strings.ReplaceAll(s, "\x00", "\x00\xff")
		}
		key = append(append(key, s...), 0, 0)
	}
	return key
}
