// Package extsort sorts more records than fit into memory: what exceeds a limit
// goes to a temporary file in sorted runs, which are merged when it is read.
package extsort

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/pondworks/sluice/internal/tempfile"
)

// Record is a key with a value. Records with equal keys stay in the order in
// which they were added.
type Record struct {
	Key   string
	Value []byte
}

// Sorter takes records and yields them in byte order of their keys. It is for
// one goroutine. The zero value is not ready: see New.
type Sorter struct {
	memory int64
	dir    string
	held   []Record
	size   int64 // bytes of held, about
	file   *tempfile.File
	runs   []run // sections of file
	end    int64 // of the last run
}

type run struct{ off, n int64 }

// overhead is about how many bytes a record takes beside key and value.
const overhead = 64

// New returns a Sorter that keeps up to about memory bytes in memory, also while it is
// read, but at least 64 KiB then, and the rest in a temporary file in dir ("" for the
// system's folder).
func New(memory int64, dir string) *Sorter { return &Sorter{memory: memory, dir: dir} }

// Add takes a record, and keeps value. After an error, which is one of the
// temporary file, only Close is allowed.
func (s *Sorter) Add(key string, value []byte) error {
	s.held = append(s.held, Record{key, value})
	s.size += int64(len(key)+len(value)) + overhead
	if s.size <= s.memory {
		return nil
	}
	return s.spill()
}

// spill writes what is held as one more run.
func (s *Sorter) spill() error {
	if s.file == nil {
		f, err := tempfile.Create(s.dir, "sluice-sort-")
		if err != nil {
			return err
		}
		s.file = f
	}
	s.sortHeld()
	r, err := s.write(s.eachHeld, 256<<10)
	if err != nil {
		return err
	}
	s.runs = append(s.runs, r)
	clear(s.held)
	s.held, s.size = s.held[:0], 0
	return nil
}

// write writes sorted records as a run.
func (s *Sorter) write(records iter.Seq2[Record, error], buffer int) (run, error) {
	w := bufio.NewWriterSize(io.NewOffsetWriter(s.file, s.end), buffer)
	n := int64(0)
	for r, err := range records {
		if err != nil {
			return run{}, err
		}
		m, err := writeRecord(w, r)
		if err != nil {
			return run{}, err
		}
		n += m
	}
	if err := w.Flush(); err != nil {
		return run{}, err
	}
	r := run{s.end, n}
	s.end += n
	return r, nil
}

func (s *Sorter) sortHeld() {
	slices.SortStableFunc(s.held, func(a, b Record) int { return strings.Compare(a.Key, b.Key) })
}

func writeRecord(w *bufio.Writer, r Record) (int64, error) {
	var head [2 * binary.MaxVarintLen64]byte
	h := binary.AppendUvarint(head[:0], uint64(len(r.Key)))
	h = binary.AppendUvarint(h, uint64(len(r.Value)))
	_, err1 := w.Write(h)
	_, err2 := w.WriteString(r.Key)
	_, err3 := w.Write(r.Value)
	return int64(len(h) + len(r.Key) + len(r.Value)), errors.Join(err1, err2, err3)
}

// eachHeld yields what is held.
func (s *Sorter) eachHeld(yield func(Record, error) bool) {
	for _, r := range s.held {
		if !yield(r, nil) {
			return
		}
	}
}

// Sorted yields all records. It may be called again, but not after more records
// were added. It ends after an error.
func (s *Sorter) Sorted() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if len(s.runs) == 0 {
			s.sortHeld()
			s.eachHeld(yield)
			return
		}
		if err := s.prepare(); err != nil {
			yield(Record{}, fmt.Errorf("sort: %w", err))
			return
		}
		s.merged(s.runs, s.buffer(len(s.runs)))(yield)
	}
}

const (
	// leastBuffer and mostBuffer bound the bytes that are read of a run at once.
	leastBuffer, mostBuffer = 4 << 10, 64 << 10
	// leastRuns are merged at once, however little memory there is.
	leastRuns = 16
)

// buffer returns how much of each of n runs is in memory while they are merged.
func (s *Sorter) buffer(n int) int {
	return int(min(max(s.memory/int64(n), leastBuffer), mostBuffer))
}

// prepare spills what is still held, for merging takes its memory, and leaves no more
// runs than can be merged at once. Only neighbours are merged, and the result takes their
// place: equal keys stay in their order.
func (s *Sorter) prepare() error {
	if len(s.held) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.held = nil
	most := max(leastRuns, int(s.memory/leastBuffer))
	for at := 0; len(s.runs) > most; at++ {
		if at+1 >= len(s.runs) {
			at = 0 // once more through all
		}
		n := min(most, len(s.runs)-most+1, len(s.runs)-at) // as few as need be
		buffer := s.buffer(n + 1)
		r, err := s.write(s.merged(s.runs[at:at+n], buffer), buffer)
		if err != nil {
			return err
		}
		s.runs = slices.Replace(s.runs, at, at+n, r)
	}
	return nil
}

// merged yields the records of runs.
func (s *Sorter) merged(runs []run, buffer int) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		m, err := s.open(runs, buffer)
		for err == nil && len(m) > 0 {
			first := m[0]
			if !yield(first.next, nil) {
				return
			}
			if err = first.advance(); err == nil && first.over {
				heap.Pop(&m)
			} else {
				heap.Fix(&m, 0)
			}
		}
		if err != nil {
			yield(Record{}, fmt.Errorf("sort: %w", err))
		}
	}
}

// open begins to read runs.
func (s *Sorter) open(runs []run, buffer int) (merging, error) {
	var m merging
	for i, r := range runs {
		src := &source{order: i, file: bufio.NewReaderSize(io.NewSectionReader(s.file, r.off, r.n), buffer)}
		if err := src.advance(); err != nil {
			return nil, err
		}
		if !src.over {
			m = append(m, src)
		}
	}
	heap.Init(&m)
	return m, nil
}

// Close removes the temporary file.
func (s *Sorter) Close() error {
	s.held = nil
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// source is a run that is being read.
type source struct {
	order int // among the runs
	next  Record
	over  bool
	file  *bufio.Reader
}

func (s *source) advance() error {
	key, err := binary.ReadUvarint(s.file)
	if err == io.EOF {
		s.over = true
		return nil
	}
	if err != nil {
		return err
	}
	value, err := binary.ReadUvarint(s.file)
	if err != nil {
		return err
	}
	b := make([]byte, key+value) // our own file: the lengths are what was written
	if _, err := io.ReadFull(s.file, b); err != nil {
		return err
	}
	s.next = Record{Key: string(b[:key]), Value: b[key:]}
	return nil
}

// merging is a heap of runs by their next record.
type merging []*source

func (m merging) Len() int      { return len(m) }
func (m merging) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m merging) Less(i, j int) bool {
	return cmp.Or(strings.Compare(m[i].next.Key, m[j].next.Key), cmp.Compare(m[i].order, m[j].order)) < 0
}
func (m *merging) Push(x any) { *m = append(*m, x.(*source)) }
func (m *merging) Pop() any {
	old := *m
	last := old[len(old)-1]
	*m = old[:len(old)-1]
	return last
}
