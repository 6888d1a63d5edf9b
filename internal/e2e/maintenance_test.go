package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/remote"
)

// TestMaintenanceWhilePushing (H2, H3) pushes without rest while an engine appends, deletes, compacts
// and vacuums with no retention. Files vanish before and while they are read;
// what is pushed must be what the source has.
func TestMaintenanceWhilePushing(t *testing.T) {
	for _, engine := range []string{"deltalake", "spark"} {
		t.Run(engine, func(t *testing.T) {
			if reason := engines(t).Absent[engine]; reason != "" {
				t.Skip("SKIPPED: " + reason)
			}
			maintain(t, engine)
		})
	}
}

func maintain(t *testing.T, engine string) {
	l := engines(t)
	x := newTrial(t, engine+" maintenance", folder(t))
	about := map[string]any{"table": x.source}
	labs[any](t, l, "maintain", map[string]any{"table": x.source, "engine": engine})
	absent, pushes := 0, 0
	for pushes < 10 || labs[int](t, l, "rounds", about) < 4 {
		absent += x.pushReport().Absent
		pushes++
	}
	rounds := labs[int](t, l, "rest", about)
	absent += x.pushReport().Absent
	require.Positive(t, absent, "no file was ever lost, not even before the first push")
	x.pull()
	must(t, nil, "verify", x.source, x.store.url, "--data")

	x.findLast()
	for _, reader := range l.Engines {
		if reader != "spark" { // which is slow
			x.remember(reads(reader, 0, x.last))
		}
	}
	x.remember(reads(engine, x.last, x.last))
	readable := x.requireSame(x.replica, func(question) bool { return true })
	require.Contains(t, x.want, question{engine, "read", int64(x.last), -1})
	require.Equal(t, files(t, x.source), intersect(files(t, x.replica), files(t, x.source)))
	t.Logf("%d pushes during %d rounds of maintenance, %d versions, %d files lost, %d readings alike", pushes, rounds, x.last+1, absent, readable)
}

// pushReport pushes and returns what it says.
func (x *trial) pushReport() remote.Report {
	var report remote.Report
	out := must(x.T, x.store.env, "push", "--json", x.source, x.store.url)
	line := out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]
	require.NoError(x, json.Unmarshal([]byte(line), &report), out)
	return report
}

// intersect keeps of all what is also in some.
func intersect(all, some map[string]string) map[string]string {
	found := map[string]string{}
	for name := range some {
		if digest, ok := all[filepath.ToSlash(name)]; ok {
			found[name] = digest
		}
	}
	return found
}
