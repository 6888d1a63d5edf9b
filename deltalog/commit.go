package deltalog

import (
	"crypto/sha256"
	"fmt"
	"io"
)

// Kind says what a file is to the table.
type Kind string

// The kinds of file that a commit names. Stored in manifests, never to change.
const (
	KindData           Kind = "data"            // add.path
	KindDeletionVector Kind = "deletion-vector" // add.deletionVector
	KindChangeData     Kind = "change-data"     // cdc.path
)

// File is one file that a version needs.
type File struct {
	Path string // decoded, relative to the table's root
	Kind Kind   // by the first action that names the path
	Size int64  // bytes, as that action states; 0 if it does not, or for a deletion vector
	// Kept: the commit itself proves that the file was live at the version
	// before, so whoever has that version has the file. A path that is removed
	// and added again without any deletion vector is not Kept: it may have been
	// reused for other bytes.
	Kept bool
}

// Commit is what a commit file says, as far as replication needs it.
type Commit struct {
	// Files are the files that the version needs beyond those of the version
	// before, each path once, in the order of their first appearance.
	Files []File
	// Removed are the decoded paths that the commit removes and does not add.
	// Tombstones whose path cannot be decoded name no file here and are left out.
	Removed []string

	// Omitted: the commit names more files than ScanCommitUpTo was asked for, so Files and
	// Removed are nil.
	Omitted bool

	Protocol *Protocol // nil if the commit has none
	Metadata *Metadata // nil if the commit has none

	Operation         string // commitInfo.operation; "" if not stated
	InCommitTimestamp *int64 // milliseconds since 1970 UTC; nil if not stated

	Size   int64             // of the commit file, bytes
	SHA256 [sha256.Size]byte // of the commit file
}

// ScanCommit reads a commit file to its end and says what the version needs.
// Unknown actions and fields are ignored. Memory is bounded by the largest
// single action and the list of files.
//
// It returns the errors of r as they are. Else it wraps ErrIncomplete if the
// commit is empty or cut short, ErrCorrupt if it is not what the Delta protocol
// ("Actions") calls a commit, ErrTooLarge as well if one action is too long, and
// ErrUnsupported if it names files outside the table or such that not every
// system can hold (DecodePath), or keeps part of its metadata elsewhere
// (adaptiveMetadata). The protocol is not judged: Protocol.Check does that.
func ScanCommit(r io.Reader) (*Commit, error) { return ScanCommitUpTo(r, 0) }

// ScanCommitUpTo is ScanCommit for who has no room for a list of any length: of a commit that
// names more than most files, as needed or as removed, it tells everything else, and
// Commit.Omitted is true. A file counts once, and once more for every 100 bytes of its path.
// SortFiles yields such files one by one. 0: any number.
func ScanCommitUpTo(r io.Reader, most int) (*Commit, error) {
	hash := sha256.New()
	src := &counted{r: io.TeeReader(r, hash)}
	s := newScan(most)
	if err := eachValue(src, s.action); err != nil {
		return nil, err
	}
	c := s.commit()
	c.Size = src.n
	hash.Sum(c.SHA256[:0])
	return c, nil
}

// scan gathers a commit from its actions. Within one commit their order does
// not count (Delta protocol, "Action Reconciliation"), so what depends on two
// actions is settled at the end.
type scan struct {
	c           Commit
	most        int                  // files in all that are listed; 0: any number
	count       int                  // of files as ScanCommitUpTo counts them
	named       map[string]namedFile // by path
	removed     map[string]bool      // by path: whether a remove has a deletion vector
	tombstones  []string             // keys of removed, in order
	removedBins map[string]bool      // files of the deletion vectors of removes
}

type namedFile struct {
	added      bool // by an add action
	withVector bool // by an add action that has a deletion vector
}

func newScan(most int) *scan {
	return &scan{
		most:        most,
		named:       make(map[string]namedFile),
		removed:     make(map[string]bool),
		removedBins: make(map[string]bool),
	}
}

// mention takes in what an action says of a file.
func (s *scan) mention(m mention) error {
	if s.c.Omitted {
		return nil
	}
	switch m.is {
	case isAdded:
		known := s.need(m.path, KindData, m.size)
		known.added = true
		known.withVector = known.withVector || m.withVector
		s.named[m.path] = known
	case isVector:
		s.need(m.path, KindDeletionVector, 0)
	case isChange:
		s.need(m.path, KindChangeData, m.size)
	case isRemoved:
		withVector, known := s.removed[m.path]
		if !known {
			s.tombstones = append(s.tombstones, m.path)
			s.counts(m.path)
		}
		s.removed[m.path] = withVector || m.withVector
	case isRemovedVector:
		if !s.removedBins[m.path] {
			s.counts(m.path)
		}
		s.removedBins[m.path] = true
	}
	if s.most > 0 && s.count > s.most {
		s.c.Omitted, s.c.Files = true, nil
		s.named, s.removed, s.tombstones, s.removedBins = nil, nil, nil, nil
	}
	return nil
}

func (s *scan) counts(path string) { s.count += 1 + len(path)/100 }

// need notes that the version needs the file and returns what is known of it.
func (s *scan) need(path string, kind Kind, size int64) namedFile {
	known, ok := s.named[path]
	if !ok {
		s.c.Files = append(s.c.Files, File{Path: path, Kind: kind, Size: size})
		s.named[path] = known
		s.counts(path)
	}
	return known
}

func (s *scan) commit() *Commit {
	for i := range s.c.Files {
		f := &s.c.Files[i]
		removedVector, removed := s.removed[f.Path]
		f.Kept = kept(f.Kind, removed, removedVector || s.named[f.Path].withVector, s.removedBins[f.Path])
	}
	for _, path := range s.tombstones {
		if !s.named[path].added {
			s.c.Removed = append(s.c.Removed, path)
		}
	}
	return &s.c
}

// kept reports whether a file that is named was live before. That follows from what a writer
// does when it gives a live file another deletion vector, or takes it away: it removes the file
// and adds it again. withVector: one of these has a vector. binRemoved: the file is that of a
// vector of a remove.
func kept(kind Kind, removed, withVector, binRemoved bool) bool {
	switch kind {
	case KindData:
		return removed && withVector
	case KindDeletionVector:
		return binRemoved
	}
	return false
}

// refuse is for actions that move table metadata out of the log.
func refuse(action string) error {
	return fmt.Errorf("%w: action %q (adaptiveMetadata)", ErrUnsupported, action)
}
