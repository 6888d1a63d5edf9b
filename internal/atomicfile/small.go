package atomicfile

import (
	"io"
	"io/fs"
	"os"
	"sync"
	"time"
)

// smallFile is from which size in bytes on a file is not read at once when it is opened.
const smallFile = 32 << 10

var smallBuffers = sync.Pool{New: func() any { return new([smallFile]byte) }}

// Small is a small regular file that was read when it was opened, to the end that it had
// then. What was read may be more or less than Size if it changed meanwhile. The caller
// closes it. Its methods may be called by many goroutines at once.
type Small struct {
	Size     int64 // bytes, when it was opened
	Modified time.Time

	mu      sync.Mutex // guards what follows: whoever reads while it is closed
	buf     *[smallFile]byte
	content []byte // of buf, what is still to be read
}

// Read reads on. After Close the error is fs.ErrClosed.
func (s *Small) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buf == nil {
		return 0, fs.ErrClosed
	}
	if len(s.content) == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	n := copy(p, s.content)
	s.content = s.content[n:]
	return n, nil
}

// Close gives its memory back.
func (s *Small) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buf == nil {
		return fs.ErrClosed
	}
	smallBuffers.Put(s.buf)
	s.buf, s.content = nil, nil
	return nil
}

// OpenOrRead opens a file as Open does, or, where the system has a short way and the file
// is small, reads it: then small is not nil.
func (h *Held) OpenOrRead(name string, flags int) (f *os.File, small *Small, err error) {
	if f, small, err := openSmallBeneath(h.dir, name, os.O_RDONLY|flags); err == nil {
		return f, small, nil
	}
	f, err = h.root.OpenFile(name, os.O_RDONLY|flags, 0) // whose error is the one to tell
	return f, nil, err
}
