package remote

import (
	"errors"
	"io"
)

// packing is an object being packed, as a reader that can start over, so that
// an upload can be tried again. What packing it found out is a T.
type packing[T any] struct {
	pack func(io.Writer) (T, error)
	done *T // of the last complete packing; nil if there was none

	portion *portion // of what a push does, nil if it is not counted; and
	stands  int64    // for how many bytes of it the object stands

	memory *pieces           // what whole reads, if that is in memory
	whole  *io.SectionReader // packed already; else
	// streamed is called, unless it is nil, when all was packed while it was read: what reads it
	// has the rest in hand. Where it is read again, which is seldom, packing takes for once what
	// was given back.
	streamed func()
	pipe     *io.PipeReader
	ended    chan struct{} // closed when the packing behind pipe has ended
	sent     int64         // bytes read since the last start
}

// packSmall packs at once, which suits what fits into memory.
func (p *packing[T]) packSmall() error {
	var packed pieces
	done, err := p.pack(&packed)
	if err != nil {
		return err
	}
	p.done = &done
	p.hold(&packed)
	return nil
}

// hold makes b the whole object, which does not change any more.
func (p *packing[T]) hold(b *pieces) { p.memory, p.whole = b, b.reader() }

// Resident implements storage.Resident. What it hands out counts as sent.
func (p *packing[T]) Resident() *io.SectionReader {
	if p.memory == nil {
		return nil
	}
	p.sent = p.memory.n
	p.portion.reach(p.sent, p.sent, p.stands)
	return p.memory.reader()
}

// size in bytes, negative as long as it is not known.
func (p *packing[T]) size() int64 {
	if p.whole != nil {
		return p.whole.Size()
	}
	return -1
}

// Read yields the object. An error of the packing arrives instead of the end,
// so one that failed is never complete.
func (p *packing[T]) Read(b []byte) (n int, err error) {
	defer func() { p.sent += int64(n) }()
	if p.whole != nil {
		n, err = p.whole.Read(b)
		p.portion.reach(p.sent+int64(n), p.whole.Size(), p.stands)
		return n, err
	}
	if p.pipe == nil {
		p.begin()
	}
	return p.pipe.Read(b)
}

func (p *packing[T]) begin() {
	p.portion.again()
	r, w := io.Pipe()
	p.pipe, p.ended = r, make(chan struct{})
	go func() {
		defer close(p.ended)
		done, err := p.pack(w)
		if err == nil {
			p.done = &done
			if p.streamed != nil {
				p.streamed()
			}
		}
		w.CloseWithError(err)
	}()
}

// reading is the portion that reading the table adds to: none where that is done
// before anything is sent.
func (p *packing[T]) reading() *portion {
	if p.pipe == nil {
		return nil
	}
	return p.portion
}

// Seek tells the position, or goes back to the start; that is all that trying
// again needs.
func (p *packing[T]) Seek(offset int64, whence int) (int64, error) {
	if offset == 0 && whence == io.SeekStart {
		p.sent = 0
	}
	switch {
	case p.whole != nil:
		return p.whole.Seek(offset, whence)
	case offset == 0 && whence == io.SeekStart:
		return 0, p.Close()
	case offset == 0 && whence == io.SeekCurrent && p.pipe == nil:
		return 0, nil
	}
	return 0, errors.New("a bundle can only be read again from its start")
}

// Close ends a packing that is under way and waits for it.
func (p *packing[T]) Close() error {
	if p.pipe == nil {
		return nil
	}
	err := p.pipe.Close()
	<-p.ended
	p.pipe = nil
	return err
}

// finished returns what packing found out, packing now if nobody read the
// object to its end.
func (p *packing[T]) finished() (T, error) {
	if p.done == nil {
		done, err := p.pack(io.Discard)
		if err != nil {
			return done, err
		}
		p.done = &done
	}
	return *p.done, nil
}
