package cli

import (
	"io"
	"os"
)

// Paint colours text for a terminal. It leaves text alone that goes elsewhere,
// and where NO_COLOR is set (no-color.org).
type Paint struct{ on bool }

// NewPaint returns the paint for w.
func NewPaint(w io.Writer) Paint {
	return Paint{IsTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// Good, Bad and Faint are how text looks that is well, that wants attention,
// and that is less important.
func (p Paint) Good(text string) string  { return p.with("32", text) }
func (p Paint) Bad(text string) string   { return p.with("31", text) }
func (p Paint) Faint(text string) string { return p.with("2", text) }

func (p Paint) with(code, text string) string {
	if !p.on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
