package deltalog

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"io"
	"iter"
)

// all walks the records in the order of their keys, the first of each name. A
// record is valid until the next one. Several walks may go on at once. An error
// of the temporary file comes last.
func (s *sorter) all() iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		m, err := s.merge()
		if err != nil {
			yield(record{}, err)
			return
		}
		var last []byte // the name of the record before
		for n := 0; len(m) > 0; n++ {
			top := m[0]
			if n == 0 || !bytes.Equal(top.now.name(), last) {
				last = append(last[:0], top.now.name()...)
				if !yield(top.now, nil) {
					return
				}
			}
			if err := m.advance(); err != nil {
				yield(record{}, err)
				return
			}
		}
	}
}

// merge opens all runs at their first records.
func (s *sorter) merge() (merging, error) {
	// However many there are, their buffers stay within the limit.
	size := int(min(max(s.limit/int64(len(s.runs)+1), 4<<10), 64<<10))
	sources := []*source{{records: s.records}}
	for _, r := range s.runs {
		sources = append(sources, &source{file: bufio.NewReaderSize(io.NewSectionReader(s.file, r.offset, r.size), size)})
	}
	var m merging
	for _, src := range sources {
		ok, err := src.next()
		if err != nil {
			return nil, err
		}
		if ok {
			m = append(m, src)
		}
	}
	heap.Init(&m)
	return m, nil
}

// source is one sorted run, in memory or in the file.
type source struct {
	now     record
	records []record
	file    *bufio.Reader
}

// next goes to the next record. ok is false at the end.
func (s *source) next() (ok bool, err error) {
	if s.file == nil {
		if len(s.records) == 0 {
			return false, nil
		}
		s.now, s.records = s.records[0], s.records[1:]
		return true, nil
	}
	keyLen, err := binary.ReadUvarint(s.file)
	if err == io.EOF {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	valueLen, err := binary.ReadUvarint(s.file)
	if err != nil {
		return false, unexpected(err)
	}
	b := grow(s.now.key, int(keyLen+valueLen))
	if _, err := io.ReadFull(s.file, b); err != nil {
		return false, unexpected(err)
	}
	s.now = record{b[:keyLen], b[keyLen:]}
	return true, nil
}

// grow returns n bytes, in the place of b if they fit.
func grow(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n, n+n/4)
	}
	return b[:n]
}

// merging is a heap of sources by their current keys.
type merging []*source

func (m merging) Len() int           { return len(m) }
func (m merging) Less(i, j int) bool { return bytes.Compare(m[i].now.key, m[j].now.key) < 0 }
func (m merging) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merging) Push(x any)        { *m = append(*m, x.(*source)) }
func (m *merging) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}

// advance moves the first source on.
func (m *merging) advance() error {
	ok, err := (*m)[0].next()
	switch {
	case err != nil:
		return err
	case ok:
		heap.Fix(m, 0)
	default:
		heap.Pop(m)
	}
	return nil
}
