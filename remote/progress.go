package remote

import (
	"io"
	"sync"
)

// Progress is a moment of a running call.
type Progress struct {
	Mode     string
	Versions int   // done so far
	Total    int   // to do in all, as far as it is known
	Bytes    int64 // of table files moved so far, before compression
	// Done of Size bytes lie behind the call. They are those whose number is known
	// beforehand: of the table's files where these are read or a base is restored, of
	// the store's objects where those are read. Size is 0 until it is known what there
	// is in all. From then on it only grows, where more is found to be done; Done never
	// shrinks and is never above it.
	Done int64
	Size int64
}

// expect says how many versions there are to do.
func (s *session) expect(total int) { s.progress(0, 0, total) }

// stepped says that one version is done.
func (s *session) stepped() { s.progress(0, 1, 0) }

func (s *session) progress(bytes int64, versions, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moved += bytes
	s.done += versions
	s.total = max(s.total+total, s.done)
	s.show()
}

// show calls Options.Progress; the caller holds s.mu.
func (s *session) show() {
	if s.opts.Progress == nil {
		return
	}
	p := Progress{Mode: s.report.Mode, Versions: s.done, Total: s.total, Bytes: s.moved}
	if s.foreseen {
		p.Done, p.Size = min(s.bytesDone, s.bytesToDo), s.bytesToDo
	}
	s.opts.Progress(p)
}

// foresee adds bytes that are to be done; all says that with them it is known what
// there is in all.
func (s *session) foresee(bytes int64, all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytesToDo += bytes
	s.foreseen = s.foreseen || all
	s.show()
}

// foreseeObjects does that for objects that are to be read to their ends, if their
// sizes are known.
func (s *session) foreseeObjects(objects []object, all bool) {
	size := int64(0)
	for _, o := range objects {
		if o.Size < 0 {
			return
		}
		size += o.Size
	}
	s.foresee(size, all)
}

// portion is what one bundle, object or file adds to the bytes that are done. That
// is never more than its size, however often it is read, and never less than before.
type portion struct {
	s    *session
	size int64
	// Guarded by s.mu:
	settled int64 // of pieces that need not be done again
	piece   int64 // of the one on its way
	done    int64 // as shown
}

// portion returns one of so many bytes; of an object of unknown size it is empty.
func (s *session) portion(size int64) *portion { return &portion{s: s, size: max(0, size)} }

// read adds bytes of the piece on its way.
func (p *portion) read(n int64) { p.update(func() { p.piece += n }) }

// reach says that n of whole bytes of a piece that stands for size bytes are through.
func (p *portion) reach(n, whole, size int64) {
	p.update(func() { p.piece = int64(float64(n) / float64(whole) * float64(size)) })
}

// again says that the piece on its way is begun anew.
func (p *portion) again() { p.update(func() { p.piece = 0 }) }

// settle says that a piece of so many bytes is done for good.
func (p *portion) settle(size int64) {
	p.update(func() { p.settled, p.piece = p.settled+size, 0 })
}

// finish says that all of it is done.
func (p *portion) finish() { p.update(func() { p.settled = p.size }) }

// update makes a change and shows what has come of it. A nil portion counts nothing.
func (p *portion) update(change func()) {
	if p == nil {
		return
	}
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	change()
	done := max(p.done, min(p.size, p.settled+p.piece))
	p.s.bytesDone += done - p.done
	p.done = done
	p.s.show()
}

// watched reports what is read through it: as bytes that moved, and to a portion if
// it is one's.
type watched struct {
	io.Reader
	s  *session
	of *portion // nil: of none
}

func (w watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	w.of.read(int64(n))
	w.s.progress(int64(n), 0, 0)
	return n, err
}

// watchedFile is watched for what is to be closed.
type watchedFile struct {
	watched
	io.Closer
}

// counted adds what is read through it to a portion.
type counted struct {
	io.Reader
	of *portion
}

func (c counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.of.read(int64(n))
	return n, err
}

// progressSum shows the progress of several stores as one.
type progressSum struct {
	mu    sync.Mutex // guards what follows and serialises show
	of    []Progress
	known bool // what there is in all
	show  func(Progress)
}

func (s *progressSum) set(i int, p Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[i] = p
	all, known := Progress{Mode: p.Mode}, true // a store that has nothing to do has no size
	for _, p := range s.of {
		all.Versions += p.Versions
		all.Total += p.Total
		all.Bytes += p.Bytes
		all.Done += p.Done
		all.Size += p.Size
		known = known && (p.Size > 0 || p.Versions == p.Total)
	}
	if s.known = s.known || known; !s.known {
		all.Done, all.Size = 0, 0
	}
	s.show(all)
}
