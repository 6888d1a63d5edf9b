package bundle

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"iter"
)

// IndexEntry is a live file in the index of a base: one JSON object on a line.
// See [IndexEntry.Compare] for their order, which lets a restore go from one
// object to the next without holding the index.
type IndexEntry struct {
	File
	// Version is the number in the key of the object that holds the file: a
	// bundle, a base if InBase is set, or with Part that part, which the bundle
	// of this version need not name.
	Version int64 `json:"version"`
	InBase  bool  `json:"in_base,omitempty"`
}

// Compare orders entries as an index does: by Version, those in the bundle
// before those in parts, by name, before those in the base, then by path in byte
// order.
func (e IndexEntry) Compare(f IndexEntry) int {
	inBase := 0
	if e.InBase != f.InBase {
		inBase = -1
		if e.InBase {
			inBase = 1
		}
	}
	return cmp.Or(cmp.Compare(e.Version, f.Version), inBase, cmp.Compare(e.Part, f.Part), cmp.Compare(e.Path, f.Path))
}

// maxIndexLine bounds a line of an index in bytes: two paths would not fill it.
const maxIndexLine = 64 << 10

// AppendIndex appends e to an index as one line.
func AppendIndex(b []byte, e IndexEntry) ([]byte, error) {
	line, err := marshal(e)
	return append(b, line...), err
}

// ReadIndex yields the entries of an index in their order. It ends after an error, which wraps
// [ErrCorrupt] unless it is one of r, with [ErrUnsupported] for an unknown kind
// of file.
func ReadIndex(r io.Reader) iter.Seq2[IndexEntry, error] {
	return func(yield func(IndexEntry, error) bool) {
		lines := bufio.NewReaderSize(r, maxIndexLine)
		var last IndexEntry
		for {
			e, err := nextEntry(lines)
			if err == io.EOF { // itself: a line that is cut short wraps it
				return
			}
			if err == nil && last.Path != "" && e.Compare(last) <= 0 {
				err = corruptf("index: %q of %d stands after %q of %d", e.Path, e.Version, last.Path, last.Version)
			}
			if !yield(e, err) || err != nil {
				return
			}
			last = e
		}
	}
}

// nextEntry returns io.EOF itself at the end and no other error that wraps it.
func nextEntry(lines *bufio.Reader) (IndexEntry, error) {
	line, err := lines.ReadSlice('\n')
	switch {
	case err == io.EOF && len(line) == 0:
		return IndexEntry{}, io.EOF
	case err == io.EOF:
		return IndexEntry{}, corruptf("index: the last line is cut short")
	case errors.Is(err, bufio.ErrBufferFull):
		return IndexEntry{}, corruptf("index: a line of more than %d bytes", maxIndexLine)
	case err != nil:
		return IndexEntry{}, err
	}
	e, err := parseEntry(line)
	if err != nil {
		return IndexEntry{}, inMember("index", err)
	}
	return e, nil
}

func parseEntry(line []byte) (IndexEntry, error) {
	var e IndexEntry
	if err := checkJSON(line); err != nil {
		return e, err
	}
	if err := unmarshal(line, &e, checkLine); err != nil {
		return e, err
	}
	if e.Version < 0 {
		return e, corruptf("file %q in version %d", e.Path, e.Version)
	}
	if e.Kind == KindCheckpoint {
		return e, corruptf("file %q of kind %q", e.Path, e.Kind)
	}
	if e.Part != "" && (e.InBase || !IsPartName(e.Part)) {
		return e, corruptf("file %q in part %.80q", e.Path, e.Part)
	}
	if err := e.check(0); err != nil {
		return e, err
	}
	return e, e.checkDigest()
}
