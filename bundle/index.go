package bundle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
)

// IndexEntry is a live file in the index of a base: one JSON object on a line.
// The entries ascend by path in byte order.
type IndexEntry struct {
	File
	// Version is the number in the key of the object that holds the file: a
	// bundle, or a base if InBase is set.
	Version int64 `json:"version"`
	InBase  bool  `json:"in_base,omitempty"`
}

// maxIndexLine bounds a line of an index in bytes: two paths would not fill it.
const maxIndexLine = 64 << 10

// AppendIndex appends e to an index as one line.
func AppendIndex(b []byte, e IndexEntry) ([]byte, error) {
	line, err := marshal(e)
	return append(b, line...), err
}

// ReadIndex yields the entries of an index. It ends after an error, which wraps
// [ErrCorrupt] unless it is one of r, with [ErrUnsupported] for an unknown kind
// of file.
func ReadIndex(r io.Reader) iter.Seq2[IndexEntry, error] {
	return func(yield func(IndexEntry, error) bool) {
		lines := bufio.NewReaderSize(r, maxIndexLine)
		last := ""
		for {
			e, err := nextEntry(lines)
			if err == io.EOF { // itself: a line that is cut short wraps it
				return
			}
			if err == nil && e.Path <= last {
				err = corruptf("index: %q stands after %q", e.Path, last)
			}
			if !yield(e, err) || err != nil {
				return
			}
			last = e.Path
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
	if err := checkNames(json.NewDecoder(bytes.NewReader(line)), false); err != nil {
		return e, err
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return e, asCorrupt(err)
	}
	if e.Version < 0 {
		return e, corruptf("file %q in version %d", e.Path, e.Version)
	}
	if e.Kind == KindCheckpoint {
		return e, corruptf("file %q of kind %q", e.Path, e.Kind)
	}
	return e, e.check(0)
}
