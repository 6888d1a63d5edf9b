package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/pondworks/sluice/remote"
)

// rateTime is over how long a rate is taken: what an earlier attempt had left, which
// counts as done at once, is soon forgotten.
const rateTime = 10 * time.Second

// meter knows how far something is, and how fast it went lately.
type meter struct {
	what     string
	begun    time.Time
	progress remote.Progress
	samples  []sample // the oldest first, of rateTime
}

// sample is how far it was at a time.
type sample struct {
	at                    time.Time
	bytes, done, versions float64
}

func (m *meter) sample(now time.Time) {
	p := m.progress
	m.samples = append(m.samples, sample{now, float64(p.Bytes), float64(p.Done), float64(p.Versions)})
	for now.Sub(m.samples[0].at) > rateTime {
		m.samples = m.samples[1:]
	}
}

// rate is how much of something is done a second, 0 if that is not known.
func (m *meter) rate(of func(sample) float64) float64 {
	if len(m.samples) < 2 {
		return 0
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	return (of(last) - of(first)) / last.at.Sub(first.at).Seconds()
}

// line is what people see: what goes on, and, as far as it is known, how much of how
// much is done, how long the rest takes, how fast it is, and how long it took so far.
func (m *meter) line(now time.Time) string {
	p := m.progress
	bar, parts := "", []string(nil)
	if done, all, rate := m.share(); all > 0 {
		bar = drawn(done/all) + " "
		if rate > 0 {
			parts = append(parts, duration(time.Duration((all-done)/rate*float64(time.Second)))+" left")
		}
	}
	if p.Total > 1 {
		parts = append(parts, fmt.Sprintf("%d of %s", p.Versions, Count(p.Total, "version")))
	}
	if p.Bytes > 0 {
		parts = append(parts, Bytes(p.Bytes))
	}
	bytes := func(s sample) float64 { return s.bytes }
	if rate := m.rate(bytes); rate > 0 {
		parts = append(parts, Bytes(int64(rate))+"/s")
	}
	parts = append(parts, duration(now.Sub(m.begun))) // last, where a narrow terminal cuts
	return m.what + " " + bar + strings.Join(parts, ", ")
}

// share is how much of all is done, and how much of it a second: of bytes where
// their number is known, else of versions. all is 0 if neither is.
func (m *meter) share() (done, all, rate float64) {
	p := m.progress
	if p.Size > 0 {
		return float64(p.Done), float64(p.Size), m.rate(func(s sample) float64 { return s.done })
	}
	if p.Total > 1 { // one version is done, or it is not
		return float64(p.Versions), float64(p.Total), m.rate(func(s sample) float64 { return s.versions })
	}
	return 0, 0, 0
}

// drawn is a bar for a share from 0 to 1.
func drawn(share float64) string {
	const width = 20
	full := min(width, int(share*width))
	return fmt.Sprintf("[%s%s] %3d%%", strings.Repeat("=", full), strings.Repeat(" ", width-full), min(100, int(share*100)))
}

// duration is a time for people: seconds, or minutes and hours.
func duration(d time.Duration) string { return min(d, 999*time.Hour).Round(time.Second).String() }

// cut shortens a line to what a terminal holds: one that wraps cannot be removed.
func cut(line string, width int) string {
	if r := []rune(line); len(r) >= width {
		return string(r[:max(0, width-1)])
	}
	return line
}
