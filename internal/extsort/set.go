package extsort

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"iter"
	"sort"

	"github.com/pondworks/sluice/internal/tempfile"
)

// Set is a set of strings that lies in a temporary file, by their digests. Its methods
// may be called by many goroutines at once, Close only when they are done.
type Set struct {
	file *tempfile.File
	n    int // members
}

// digestSize is how much of a sha256 a member is known by: far more than would let two of
// any set meet.
const digestSize = 16

func digestOf(s string) []byte {
	d := sha256.Sum256([]byte(s))
	return d[:digestSize]
}

// NewSet returns the set of all, whose first error it returns. While it is made it takes
// about memory bytes. dir is for temporary files, "" for the system's folder.
func NewSet(memory int64, dir string, all iter.Seq2[string, error]) (_ *Set, err error) {
	sorter := New(memory, dir)
	defer func() { err = errors.Join(err, sorter.Close()) }()
	for member, err := range all {
		if err == nil {
			err = sorter.Add(string(digestOf(member)), nil)
		}
		if err != nil {
			return nil, err
		}
	}
	f, err := tempfile.Create(dir, "sluice-set-")
	if err != nil {
		return nil, err
	}
	s := &Set{file: f}
	if err := s.write(sorter); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Set) write(sorter *Sorter) error {
	w := bufio.NewWriter(s.file)
	for r, err := range sorter.Sorted() {
		if err == nil {
			_, err = io.WriteString(w, r.Key)
		}
		if err != nil {
			return err
		}
		s.n++
	}
	return w.Flush()
}

// Has reports whether member is in the set. Errors are those of reading the file.
func (s *Set) Has(member string) (bool, error) {
	want, at := digestOf(member), make([]byte, digestSize)
	var failed error
	read := func(i int) int {
		if _, err := s.file.ReadAt(at, int64(i)*digestSize); err != nil && failed == nil {
			failed = err
		}
		return bytes.Compare(want, at)
	}
	_, found := sort.Find(s.n, read)
	return found, failed
}

// Close removes the file.
func (s *Set) Close() error { return s.file.Close() }
