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

// New returns a Sorter that keeps up to about memory bytes in memory and the
// rest in a temporary file in dir ("" for the system's folder).
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
	w := bufio.NewWriterSize(io.NewOffsetWriter(s.file, s.end), 256<<10)
	n := int64(0)
	for _, r := range s.held {
		m, err := writeRecord(w, r)
		if err != nil {
			return err
		}
		n += m
	}
	if err := w.Flush(); err != nil {
		return err
	}
	s.runs = append(s.runs, run{s.end, n})
	s.end += n
	clear(s.held)
	s.held, s.size = s.held[:0], 0
	return nil
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

// Sorted yields all records. It may be called again, but not after more records
// were added. It ends after an error.
func (s *Sorter) Sorted() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		s.sortHeld()
		m, err := s.merge()
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

// merge opens all runs, what is held being the last.
func (s *Sorter) merge() (merging, error) {
	var m merging
	for i, r := range s.runs {
		src := &source{order: i, file: bufio.NewReaderSize(io.NewSectionReader(s.file, r.off, r.n), 64<<10)}
		m = append(m, src)
	}
	m = append(m, &source{order: len(s.runs), held: s.held})
	for _, src := range m {
		if err := src.advance(); err != nil {
			return nil, err
		}
	}
	m = slices.DeleteFunc(m, func(s *source) bool { return s.over })
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
	file  *bufio.Reader // nil for
	held  []Record
}

func (s *source) advance() error {
	if s.file == nil {
		if s.over = len(s.held) == 0; !s.over {
			s.next, s.held = s.held[0], s.held[1:]
		}
		return nil
	}
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
