package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
)

func TestMeterLine(t *testing.T) {
	const mib = 1 << 20
	for name, c := range map[string]struct {
		begin, now remote.Progress
		want       string
	}{
		"nothing is known":  {remote.Progress{}, remote.Progress{}, "push 4s"},
		"one large version": {remote.Progress{Total: 1}, remote.Progress{Total: 1, Bytes: 40 * mib, Done: 40 * mib, Size: 100 * mib}, "push [========            ]  40% 6s left, 40.0 MiB, 10.0 MiB/s, 4s"},
		"a backlog":         {remote.Progress{Total: 200}, remote.Progress{Total: 200, Versions: 20, Bytes: 8 * mib}, "push [==                  ]  10% 36s left, 20 of 200 versions, 8.0 MiB, 2.0 MiB/s, 4s"},
		"size not known":    {remote.Progress{Total: 1}, remote.Progress{Total: 1, Bytes: 8 * mib}, "push 8.0 MiB, 2.0 MiB/s, 4s"},
		"it stands still":   {remote.Progress{Done: mib, Size: 2 * mib}, remote.Progress{Done: mib, Size: 2 * mib}, "push [==========          ]  50% 4s"},
		"all of it":         {remote.Progress{}, remote.Progress{Total: 2, Versions: 2, Bytes: mib, Done: 7, Size: 7}, "push [====================] 100% 0s left, 2 of 2 versions, 1.0 MiB, 256.0 KiB/s, 4s"},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			m := &meter{what: "push", begun: begun, progress: c.begin}
			m.sample(begun)
			m.progress = c.now
			m.sample(begun.Add(4 * time.Second))
			require.Equal(t, c.want, m.line(begun.Add(4*time.Second)))
		})
	}
}

// What was there already is no speed.
func TestMeterForgets(t *testing.T) {
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	m := &meter{what: "push", begun: begun}
	for second := range 31 {
		m.progress = remote.Progress{Done: 1000 + int64(second), Size: 2000}
		if second == 0 {
			m.progress.Done = 0
		}
		m.sample(begun.Add(time.Duration(second) * time.Second))
	}
	require.Contains(t, m.line(begun.Add(30*time.Second)), " 16m10s left, ")
}

func TestCut(t *testing.T) {
	require.Equal(t, "pus", cut("push", 4))
	require.Equal(t, "push", cut("push", 5))
}
