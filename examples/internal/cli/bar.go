package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/pondworks/sluice/remote"
)

const (
	quietTime = time.Second            // so long something may take before a bar appears
	drawEvery = 200 * time.Millisecond // and so often it is drawn
)

// Bar shows on a terminal what takes long enough to wonder, and nothing anywhere
// else. Any number of goroutines may use it. What is written through Above makes
// room for itself. It is not a library's: the lines of those have texts that do not
// shrink, and one that is wider than the terminal wraps and cannot be removed.
type Bar struct {
	out *os.File // nil: show nothing

	mu      sync.Mutex // guards what follows
	running *drawing   // nil: nothing is shown
}

// drawing is a bar while something goes on.
type drawing struct {
	meter
	drawn bool          // there is something on the screen
	stop  chan struct{} // closed to end it
	ended chan struct{} // closed when it has
}

// NewBar returns a bar on w, which is silent unless w is a terminal.
func NewBar(w io.Writer) *Bar {
	if f, ok := w.(*os.File); ok && IsTerminal(f) && os.Getenv("TERM") != "dumb" {
		return &Bar{out: f}
	}
	return &Bar{}
}

// Begin says what goes on from now until Finish, whether or not something tells how
// far it is.
func (b *Bar) Begin(what string) { b.update(what, func(*meter) {}) }

// Versions shows how far a push, an init or another call is.
func (b *Bar) Versions(p remote.Progress) {
	b.update(p.Mode, func(m *meter) { m.progress = p })
}

// Reader counts what is read from r; total is -1 if unknown.
func (b *Bar) Reader(r io.Reader, total int64, name string) io.Reader {
	p := remote.Progress{Mode: name, Size: max(0, total)}
	return readerFunc(func(buf []byte) (int, error) {
		n, err := r.Read(buf)
		p.Bytes += int64(n)
		p.Done = min(p.Bytes, p.Size)
		b.Versions(p)
		return n, err
	})
}

// update changes what is shown. Something else that goes on has a bar of its own.
func (b *Bar) update(what string, change func(*meter)) {
	if b.out == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.running
	if d == nil {
		d = &drawing{stop: make(chan struct{}), ended: make(chan struct{})}
		b.running = d
		go b.draw(d)
	}
	if d.what != what {
		d.meter = meter{what: what, begun: time.Now()}
	}
	change(&d.meter)
}

// draw draws until it is stopped, and leaves nothing on the screen.
func (b *Bar) draw(d *drawing) {
	defer close(d.ended)
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	for {
		select {
		case <-d.stop:
			if d.drawn {
				fmt.Fprint(b.out, "\r\x1b[K") // a bar that cannot be drawn is no reason to stop
			}
			return
		case <-tick.C:
		}
		b.mu.Lock()
		d.sample(time.Now())
		if line := d.line(time.Now()); time.Since(d.begun) >= quietTime {
			d.drawn = true
			fmt.Fprint(b.out, "\r\x1b[K"+cut(line, width(b.out))) // as above
		}
		b.mu.Unlock()
	}
}

// width is how many characters a line of the terminal has.
func width(f *os.File) int {
	if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
		return w
	}
	return 80
}

// Finish removes the bar. What is shown next begins anew.
func (b *Bar) Finish() {
	b.mu.Lock()
	d := b.running
	b.running = nil
	b.mu.Unlock()
	if d != nil {
		close(d.stop)
		<-d.ended
	}
}

// Above returns a writer to w that removes the bar first. Whether w is a terminal can
// still be asked.
func (b *Bar) Above(w io.Writer) io.Writer {
	if b.out == nil {
		return w
	}
	return above{w, b}
}

type above struct {
	io.Writer
	bar *Bar
}

func (a above) Write(p []byte) (int, error) {
	a.bar.Finish()
	return a.Writer.Write(p)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// IsTerminal reports whether a stream is one.
func IsTerminal(stream any) bool {
	if a, ok := stream.(above); ok {
		stream = a.Writer
	}
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
