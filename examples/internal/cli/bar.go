package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/pondworks/sluice/remote"
)

// quietTime is how long something may take before a bar appears.
const quietTime = time.Second

// Bar shows progress on a terminal, once that takes long enough to wonder, and
// nothing anywhere else. Any number of goroutines may use it.
type Bar struct {
	out *os.File // nil: show nothing

	mu    sync.Mutex // guards what follows
	begun time.Time
	what  string // is being done
	p     *progressbar.ProgressBar
}

// NewBar returns a bar on w, which is silent unless w is a terminal.
func NewBar(w io.Writer, quiet bool) *Bar {
	if quiet || !IsTerminal(w) {
		return &Bar{}
	}
	return &Bar{out: w.(*os.File)}
}

// start makes the bar visible when it is time to, and reports whether it is.
// Something else that is done begins a bar of its own.
func (b *Bar) start(what string, total int64, options ...progressbar.Option) bool {
	if b.out == nil {
		return false
	}
	if what != b.what {
		b.clear()
		b.what, b.begun = what, time.Now()
	}
	if b.p == nil && time.Since(b.begun) < quietTime {
		return false
	}
	if b.p == nil {
		b.p = progressbar.NewOptions64(total, append(options,
			progressbar.OptionSetWriter(b.out), progressbar.OptionSetPredictTime(true), progressbar.OptionSetElapsedTime(true),
			progressbar.OptionUseANSICodes(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetSpinnerChangeInterval(0))...) // else a goroutine goes on drawing when all is done
	}
	return true
}

// Versions shows how far a push, init or pull is: versions, bytes, bytes in a
// second, time gone and time to go.
func (b *Bar) Versions(p remote.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.start(p.Mode, int64(max(p.Total, 1)), progressbar.OptionShowCount()) {
		return
	}
	b.p.ChangeMax(max(p.Total, 1))
	b.p.Describe(fmt.Sprintf("%s %s, %s/s", p.Mode, Bytes(p.Bytes), Bytes(int64(float64(p.Bytes)/time.Since(b.begun).Seconds()))))
	_ = b.p.Set(p.Versions) // a bar that cannot be drawn is no reason to stop
}

// Reader counts what is read from r; total is -1 if unknown.
func (b *Bar) Reader(r io.Reader, total int64, name string) io.Reader {
	var done int64
	return readerFunc(func(buf []byte) (int, error) {
		n, err := r.Read(buf)
		b.mu.Lock()
		defer b.mu.Unlock()
		done += int64(n)
		if b.start(name, total, progressbar.OptionShowBytes(true)) {
			b.p.Describe(name + " " + Bytes(done))
			_ = b.p.Set64(done) // as above
		}
		return n, err
	})
}

// Finish removes the bar. What is shown next begins anew.
func (b *Bar) Finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
}

func (b *Bar) clear() {
	if b.p != nil {
		_ = b.p.Clear() // as above
	}
	b.p, b.what = nil, ""
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// IsTerminal reports whether a stream is one.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Bytes is a number of bytes for people.
func Bytes(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	units := "KMGTPE"
	f := float64(n) / 1024
	for f >= 1024 && len(units) > 1 {
		f, units = f/1024, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", f, units[0])
}

// Count is a number of things for people: "1 file", "2 files".
func Count[N int | int64](n N, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
