package deltalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
)

// action takes in one action.
func (s *scan) action(raw []byte) error {
	kind, value, err := oneOf(raw, commitActions...)
	if err != nil || kind == "" {
		return err
	}
	if err := s.take(kind, value); err != nil {
		return fmt.Errorf("action %q: %w", kind, err)
	}
	return nil
}

// commitActions are the kinds of action that a commit is read for.
var commitActions = []string{"add", "remove", "cdc", "metaData", "protocol", "commitInfo", "checkpoint", "contentRoot"}

// oneOf returns which of the kinds an action is, an object whose only member
// says it, and the member's value; "" if it is of none.
func oneOf(raw []byte, kinds ...string) (kind string, value []byte, err error) {
	var few [16]field // more than anyone asks for
	fields := few[:0]
	for _, name := range kinds {
		fields = append(fields, field{name: name})
	}
	if err := pick(raw, fields); err != nil {
		return "", nil, err
	}
	for _, f := range fields {
		if f.value == nil {
			continue
		}
		if kind != "" { // engines differ in which of them they take
			return "", nil, fmt.Errorf("%w: one action is both %q and %q", ErrCorrupt, kind, f.name)
		}
		kind, value = f.name, f.value
	}
	return kind, value, nil
}

func (s *scan) take(kind string, value []byte) error {
	switch kind {
	case "add", "remove", "cdc":
		return mentions(kind, value, s.mention)
	case "metaData":
		return s.metadata(value)
	case "protocol":
		return s.protocol(value)
	case "commitInfo":
		s.commitInfo(value)
		return nil
	}
	return refuse(kind)
}

// fileAction is what add, remove and cdc have in common.
type fileAction struct {
	rawPath  string
	size     int64
	modified int64  // milliseconds since the epoch; 0 if not stated
	vector   []byte // JSON of the deletion vector; nil if there is none
}

func parseFileAction(value []byte) (a fileAction, err error) {
	f := [...]field{{name: "path"}, {name: "size"}, {name: "modificationTime"}, {name: "deletionVector"}}
	if err := pick(value, f[:]); err != nil {
		return a, err
	}
	if a.rawPath, err = pathText(f[0].value); err != nil {
		return a, fmt.Errorf("path: %w", err)
	}
	a.size, a.modified, a.vector = stated(f[1].value), stated(f[2].value), f[3].value
	return a, nil
}

// stated is a size or a time. What is no whole number above 0 counts as not stated: the
// true size of a file is measured anyway.
func stated(value []byte) int64 {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// vectorFile returns the path of the file that holds the deletion vector, ""
// if there is none.
func (a fileAction) vectorFile() (string, error) {
	if a.vector == nil {
		return "", nil
	}
	f := [...]field{{name: "storageType"}, {name: "pathOrInlineDv"}}
	if err := pick(a.vector, f[:]); err != nil {
		return "", fmt.Errorf("deletion vector: %w", err)
	}
	storageType, err := text(f[0].value)
	if err != nil {
		return "", fmt.Errorf("deletion vector: storage type: %w", err)
	}
	where, err := pathText(f[1].value)
	if err != nil {
		return "", fmt.Errorf("deletion vector: id: %w", err)
	}
	return vectorPath(storageType, where)
}

// mention is what an action says of one file.
type mention struct {
	is         mentioned
	path       string // decoded
	size       int64  // bytes, as stated; 0 if it is not
	withVector bool   // of isAdded and isRemoved: there is a deletion vector
}

type mentioned byte

const (
	isAdded         mentioned = 'a' // by add
	isVector        mentioned = 'v' // the file of the deletion vector of an add
	isChange        mentioned = 'c' // by cdc
	isRemoved       mentioned = 'r' // by remove
	isRemovedVector mentioned = 'x' // the file of the deletion vector of a remove
)

// mentions takes in an add, remove or cdc action.
func mentions(kind string, value []byte, take func(mention) error) error {
	a, err := parseFileAction(value)
	if err != nil {
		return err
	}
	if kind == "remove" {
		return a.removed(take)
	}
	path, err := DecodePath(a.rawPath)
	if err != nil {
		return err
	}
	if kind == "cdc" {
		return take(mention{isChange, path, a.size, false})
	}
	bin, err := a.vectorFile()
	if err != nil {
		return err
	}
	err = take(mention{isAdded, path, a.size, a.vector != nil})
	if err == nil && bin != "" {
		err = take(mention{is: isVector, path: bin})
	}
	return err
}

// removed takes in a tombstone. No file need exist for it, so a path that names none here is
// no fault.
func (a fileAction) removed(take func(mention) error) error {
	if path, err := DecodePath(a.rawPath); err == nil {
		if err := take(mention{isRemoved, path, a.size, a.vector != nil}); err != nil {
			return err
		}
	}
	if bin, err := a.vectorFile(); err == nil && bin != "" {
		return take(mention{is: isRemovedVector, path: bin})
	}
	return nil
}

func (s *scan) metadata(value []byte) (err error) {
	s.c.Metadata, err = parseMetadata(value)
	return err
}

func (s *scan) protocol(value []byte) error {
	p, err := parseProtocol(value)
	if err != nil {
		return err
	}
	if old := s.c.Protocol; old != nil && !old.equal(p) {
		return fmt.Errorf("%w: one commit states two protocols", ErrCorrupt)
	}
	s.c.Protocol = p
	return nil
}

func parseProtocol(value []byte) (*Protocol, error) {
	f := [...]field{{name: "minReaderVersion"}, {name: "minWriterVersion"}, {name: "readerFeatures"}, {name: "writerFeatures"}}
	if err := pick(value, f[:]); err != nil {
		return nil, err
	}
	p := new(Protocol)
	for i, into := range []any{&p.MinReaderVersion, &p.MinWriterVersion, &p.ReaderFeatures, &p.WriterFeatures} {
		isList := i > 1
		if f[i].value == nil && isList {
			continue
		}
		if err := json.Unmarshal(f[i].value, into); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, f[i].name, err)
		}
	}
	return p, nil
}

func (p *Protocol) equal(q *Protocol) bool {
	return p.MinReaderVersion == q.MinReaderVersion && p.MinWriterVersion == q.MinWriterVersion &&
		slices.Equal(p.ReaderFeatures, q.ReaderFeatures) && slices.Equal(p.WriterFeatures, q.WriterFeatures)
}

// commitInfo is free-form (Delta protocol, "Commit Provenance Information"), so
// nothing in it is an error; the first statement counts.
func (s *scan) commitInfo(value []byte) {
	f := [...]field{{name: "operation"}, {name: "inCommitTimestamp"}}
	if err := pick(value, f[:]); err != nil {
		return
	}
	if op, err := text(f[0].value); err == nil && s.c.Operation == "" {
		s.c.Operation = op
	}
	if ms, err := strconv.ParseInt(string(f[1].value), 10, 64); err == nil && s.c.InCommitTimestamp == nil {
		s.c.InCommitTimestamp = &ms
	}
}
