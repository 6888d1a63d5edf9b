package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/pondworks/sluice/remote"
)

// bar shows progress on a terminal, and nothing anywhere else.
type bar struct{ p *progressbar.ProgressBar }

func newBar(w io.Writer, quiet bool, name string) *bar {
	f, ok := w.(*os.File)
	if quiet || !ok || !term.IsTerminal(int(f.Fd())) {
		return &bar{}
	}
	return &bar{progressbar.NewOptions(-1,
		progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(name),
		progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())}
}

func (b *bar) show(p remote.Progress) {
	if b.p == nil {
		return
	}
	b.p.ChangeMax(max(p.Total, 1))
	b.p.Describe(fmt.Sprintf("%s %.1f MiB", p.Mode, float64(p.Bytes)/(1<<20)))
	_ = b.p.Set(p.Versions) // a bar that cannot be drawn is no reason to stop
}

func (b *bar) finish() {
	if b.p != nil {
		_ = b.p.Clear()
	}
}
