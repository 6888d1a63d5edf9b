package deltalog

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"slices"

	"github.com/pondworks/sluice/internal/tempfile"
)

// sorter sorts records by key and keeps the first of each name. It holds about
// limit bytes in memory and writes sorted runs of that size to a temporary file
// beyond it.
//
// A key is its name followed by keyOrder bytes, of which the smaller come first.
type sorter struct {
	limit int64
	dir   string // for the temporary file; "" is the system's

	used    int64
	records []record
	block   []byte // the free part of the last block
	file    *tempfile.File
	runs    []run
	end     int64 // of the runs in file
}

type record struct{ key, value []byte }

// run is where a sorted run lies in the file.
type run struct{ offset, size int64 }

// keyOrder is the length of the part of a key that orders records of one name.
const keyOrder = 16

func (r record) name() []byte { return r.key[:len(r.key)-keyOrder] }

// blockSize is how much is allocated at once for small records.
const blockSize = 64 << 10

// recordOverhead is about what a record takes beside its bytes.
const recordOverhead = 64

// add takes in a record and copies it. An error means that a run could not be
// written; the sorter is of no use then.
func (s *sorter) add(key, value []byte) error {
	s.records = append(s.records, record{s.keep(key), s.keep(value)})
	s.used += int64(len(key) + len(value) + recordOverhead)
	if s.used < s.limit {
		return nil
	}
	return s.spill()
}

// keep copies b into a block.
func (s *sorter) keep(b []byte) []byte {
	if len(b) > blockSize/4 {
		return bytes.Clone(b)
	}
	if len(s.block) < len(b) {
		s.block = make([]byte, blockSize)
	}
	n := copy(s.block, b)
	kept := s.block[:n:n]
	s.block = s.block[n:]
	return kept
}

// settle sorts what is in memory. It must be called before walking.
func (s *sorter) settle() {
	slices.SortFunc(s.records, func(a, b record) int { return bytes.Compare(a.key, b.key) })
	s.records = slices.CompactFunc(s.records, func(a, b record) bool { return bytes.Equal(a.name(), b.name()) })
}

func (s *sorter) spill() error {
	s.settle()
	if s.file == nil {
		f, err := tempfile.Create(s.dir, "sluice-state-*")
		if err != nil {
			return err
		}
		s.file = f
	}
	w := &sized{w: s.file}
	buffered := bufio.NewWriterSize(w, 64<<10)
	for _, r := range s.records {
		if err := writeRecord(buffered, r); err != nil {
			return err
		}
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	s.runs = append(s.runs, run{s.end, w.n})
	s.end += w.n
	s.records, s.block, s.used = nil, nil, 0
	return nil
}

// sized counts what is written.
type sized struct {
	w io.Writer
	n int64
}

func (s *sized) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.n += int64(n)
	return n, err
}

// writeRecord writes the two lengths as uvarints, the key and the value.
func writeRecord(w *bufio.Writer, r record) error {
	head := binary.AppendUvarint(make([]byte, 0, 2*binary.MaxVarintLen64), uint64(len(r.key)))
	for _, b := range [][]byte{binary.AppendUvarint(head, uint64(len(r.value))), r.key, r.value} {
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// close removes the temporary file.
func (s *sorter) close() error {
	if s.file == nil {
		return nil
	}
	f := s.file
	s.file, s.runs, s.records = nil, nil, nil
	return f.Close()
}
