package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/remote"
)

// trial is the life of one table: an engine writes it step by step, sluice
// copies it, and every engine must make of the copies what it made of the source
// at the time.
type trial struct {
	*testing.T
	lab      *lab
	scenario string
	store    place
	source   string
	replica  string // follows with all history
	last     int    // newest version of the source, -1 before the first
	pulled   bool

	want map[question]string // what the source answered
	// refused is why an engine cannot read the table, as it says itself.
	refused map[string]string
}

// question is a call of an engine's method.
type question struct {
	engine, method string
	first, second  int64 // arguments; second is -1 where there is one
}

// writer is the engine that makes the table, which must be able to read it.
func (x *trial) writer() string {
	for _, engine := range x.lab.Engines {
		if first, _, _ := strings.Cut(x.scenario, " "); first == engine {
			return engine
		}
	}
	return "deltalake"
}

func newTrial(t *testing.T, scenario string, store place) *trial {
	t.Helper()
	dir := t.TempDir()
	return &trial{T: t, lab: engines(t), scenario: scenario, store: store, source: filepath.Join(dir, "source"),
		replica: filepath.Join(dir, "replica"), last: -1, want: map[question]string{}, refused: map[string]string{}}
}

// grow runs the scenario to its end. Three steps are pushed one by one, the next
// three as one backlog, and so on; a base lies below the last of them.
func (x *trial) grow() {
	x.begin()
	for i := 0; ; i++ {
		step := x.step()
		x.readNew()
		switch {
		case step == "":
			x.push()
			x.pull()
			x.look()
			return
		case step == "before it is lost":
			x.push()
			x.look()
		case i%6 < 3:
			x.push()
			if i%2 == 0 {
				x.pull()
			}
		}
		if i == 2 || i == 12 {
			must(x.T, x.store.env, "base", x.source, x.store.url)
		}
	}
}

func (x *trial) begin() {
	labs[any](x.T, x.lab, "begin", map[string]any{"scenario": x.scenario, "table": x.source})
}

// step carries the scenario on and says what it did, "" at the end.
func (x *trial) step() string {
	return labs[string](x.T, x.lab, "step", map[string]any{"table": x.source})
}

func (x *trial) push() { must(x.T, x.store.env, "push", x.source, x.store.url) }

func (x *trial) pull() {
	mode := "pull"
	if !x.pulled {
		mode, x.pulled = "init", true
	}
	must(x.T, x.store.env, mode, x.replica, x.store.url)
}

// readNew has all engines read the versions that the last step made, before a
// later one takes their files away. The writer must be able to.
func (x *trial) readNew() {
	first := x.last + 1
	x.findLast()
	for _, engine := range x.lab.Engines {
		if x.scenario != "many" || engine == "deltalake" {
			x.remember(reads(engine, first, x.last))
		} else if first%20 == 0 { // the longest table is not about it
			x.remember(reads(engine, first, min(first, x.last)))
		}
	}
	require.NotContains(x, x.refused, x.writer())
}

// findLast looks which version of the source is the newest.
func (x *trial) findLast() {
	names, err := filepath.Glob(filepath.Join(x.source, "_delta_log", "*.json"))
	require.NoError(x, err)
	for _, name := range names {
		if v, ok := deltalog.ParseCommitName(filepath.Base(name)); ok {
			x.last = max(x.last, int(v))
		}
	}
}

// reads are the questions for the rows of a span of versions.
func reads(engine string, first, last int) []question {
	var all []question
	for v := first; v <= last; v++ {
		all = append(all, question{engine, "read", int64(v), -1})
	}
	return all
}

// look has the engines answer for points in time and for what the log says,
// while the source still has it.
func (x *trial) look() {
	earliest := 0
	for earliest < x.last && !exists(filepath.Join(x.source, deltalog.Version(earliest).CommitPath())) {
		earliest++
	}
	times := labs[[]int64](x.T, x.lab, "times", map[string]any{"table": x.source, "first": earliest, "last": x.last})
	ordered := x.inOrder(earliest)
	if !ordered {
		x.Log("no moments but for Spark: the others halve the log by the times of its files, which are not in order, so that what they find depends on how long it is")
	}
	for _, engine := range x.lab.Engines {
		if x.scenario == "many" && engine != "deltalake" {
			continue // the longest table is not about them
		}
		x.remember([]question{{engine, "changes", int64(earliest), int64(x.last)}})
		if engine != "spark" && !ordered {
			continue
		}
		var moments []question
		for i, at := range times {
			for _, method := range []string{"version_at", "read_at"} {
				if engine == "spark" && method == "read_at" && i != len(times)/2 {
					continue // version_at tells as much and costs less
				}
				moments = append(moments, question{engine, method, at, -1})
				if i > 0 {
					moments = append(moments, question{engine, method, at - 1, -1})
				}
			}
		}
		x.remember(moments)
	}
	if slices.Contains(x.lab.Engines, "spark") {
		for i, at := range times {
			x.requireAt(at, earliest+i)
			if i > 0 {
				x.requireAt(at-1, earliest+i-1)
			}
		}
	}
}

// inOrder says whether the commits of the source from a version on are each
// younger than the one before, by the times of their files.
func (x *trial) inOrder(earliest int) bool {
	before := int64(-1)
	for v := earliest; v <= x.last; v++ {
		info, err := os.Stat(filepath.Join(x.source, deltalog.Version(v).CommitPath()))
		require.NoError(x, err)
		if info.ModTime().UnixMilli() <= before {
			return false
		}
		before = info.ModTime().UnixMilli()
	}
	return true
}

// requireAt holds Spark's own answer against the times of the log.
func (x *trial) requireAt(at int64, version int) {
	if got, asked := x.want[question{"spark", "version_at", at, -1}]; asked {
		require.Equal(x, fmt.Sprint(version), got, "version at %d", at)
	}
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// remember keeps what the source answers to questions of one engine.
func (x *trial) remember(questions []question) {
	for q, answer := range x.answers(x.source, questions) {
		if !strings.HasPrefix(answer, "error") {
			x.want[q] = answer
		} else if q.method == "read" {
			x.refused[q.engine] = answer
		}
	}
}

// answers puts questions of one engine about a table.
func (x *trial) answers(table string, questions []question) map[question]string {
	if len(questions) == 0 {
		return nil
	}
	args := map[string][][]any{}
	asked := map[string][]question{}
	for _, q := range questions {
		list := []any{q.first}
		if q.second >= 0 {
			list = append(list, q.second)
		}
		args[q.method] = append(args[q.method], list)
		asked[q.method] = append(asked[q.method], q)
	}
	found := map[question]string{}
	for method, list := range args {
		for i, answer := range x.lab.call(x.T, questions[0].engine, method, table, list) {
			found[asked[method][i]] = answer
		}
	}
	return found
}

// requireSame asks a copy that begins at a version all that the source was asked.
// It returns how many answers there were.
func (x *trial) requireSame(table string, wanted func(question) bool) int {
	count := 0
	for _, engine := range x.lab.Engines {
		want := map[question]string{}
		for q, answer := range x.want {
			if q.engine == engine && wanted(q) {
				want[q] = answer
			}
		}
		if len(want) == 0 {
			continue
		}
		questions := make([]question, 0, len(want))
		for q := range want {
			questions = append(questions, q)
		}
		require.Empty(x, unlike(want, x.answers(table, questions)), "%s on %s", engine, table)
		count += len(want)
	}
	return count
}

// unlike lists the questions with other answers than wanted.
func unlike(want, got map[question]string) (all []string) {
	for q, answer := range want {
		if got[q] != answer {
			all = append(all, fmt.Sprintf("%v: want %s, got %s", q, answer, got[q]))
		}
	}
	return all
}

// requireTip compares what Spark says of source and copy beside their rows.
func (x *trial) requireTip(table string, methods ...string) {
	if !slices.Contains(x.lab.Engines, "spark") {
		return
	}
	for _, method := range methods {
		want := x.lab.call(x.T, "spark", method, x.source, [][]any{{}})
		require.False(x, strings.HasPrefix(want[0], "error"), want)
		require.Equal(x, want, x.lab.call(x.T, "spark", method, table, [][]any{{}}), method)
	}
}

// requireFull checks the replica that followed, and one made at once.
func (x *trial) requireFull() {
	fresh := filepath.Join(filepath.Dir(x.source), "fresh")
	must(x.T, x.store.env, "init", fresh, x.store.url)
	want, got := files(x.T, x.replica), files(x.T, fresh)
	require.Equal(x, want, got)
	for name, digest := range files(x.T, x.source) {
		require.Equal(x, digest, want[name], name)
	}
	x.requireSame(x.replica, func(question) bool { return true })
	x.requireTip(x.replica, "about")
	if exists(filepath.Join(x.source, deltalog.Version(0).CommitPath())) {
		x.requireTip(x.replica, "history")
	}
	x.report()
}

// report logs what the engines were asked, and why some could not be.
func (x *trial) report() {
	counts := map[string]int{}
	for q := range x.want {
		counts[q.engine+" "+q.method]++
	}
	x.Logf("%d versions; answers alike: %v", x.last+1, counts)
	for engine, reason := range x.refused {
		x.Logf("%s cannot read it: %s", engine, reason)
	}
}

// requireLive checks copies of live files alone: one from a base in the middle
// and the bundles above, and one whose only checkpoint is that of the newest
// version, without the commits below.
func (x *trial) requireLive() {
	base := x.live("tail")
	require.Positive(x, base)
	must(x.T, x.store.env, "base", x.source, x.store.url)
	require.EqualValues(x, x.last, x.live("tip"))
}

// live restores live files alone, has them read and returns where they begin.
func (x *trial) live(name string) int64 {
	table := filepath.Join(filepath.Dir(x.source), name)
	out := must(x.T, x.store.env, "init", "--json", "--history", "live", table, x.store.url)
	var report remote.Report
	require.NoError(x, json.Unmarshal([]byte(out), &report))
	require.NotNil(x, report.Base)
	base := *report.Base
	if base > 0 {
		require.NoFileExists(x, filepath.Join(table, (base-1).CommitPath()))
	}
	count := x.requireSame(table, func(q question) bool {
		if q.engine == "spark" { // both ends, since it is slow
			return q.method == "read" && (q.first == int64(base) || q.first == int64(x.last))
		}
		return q.method == "read" && q.first >= int64(base)
	})
	require.Positive(x, count)
	x.requireTip(table, "about")
	x.requireFeed(table, int64(base))
	checkpoint := fmt.Sprintf("%020d.checkpoint.parquet", base)
	ours := exists(filepath.Join(table, "_delta_log", checkpoint)) && !exists(filepath.Join(x.source, "_delta_log", checkpoint))
	x.Logf("live from version %d, checkpoint of ours: %v, %d answers", base, ours, count)
	return int64(base)
}

// requireFeed has the change data feed of a copy read from the version on with which it begins, if
// that has files for it.
func (x *trial) requireFeed(table string, first int64) {
	commit, err := os.ReadFile(filepath.Join(table, deltalog.Version(first).CommitPath()))
	require.NoError(x, err)
	if !strings.Contains(string(commit), `{"cdc":`) {
		return
	}
	alike := 0
	for _, engine := range x.lab.Engines {
		q := question{engine, "changes", first, int64(x.last)}
		want := x.answers(x.source, []question{q})[q]
		if strings.HasPrefix(want, "error") {
			continue
		}
		require.Equal(x, want, x.answers(table, []question{q})[q], "the feed as %s reads it", engine)
		alike++
	}
	require.Positive(x, alike)
	x.Logf("the feed from version %d on is alike to %d engines", first, alike)
}

// files returns the digests of all files but those that one engine keeps for
// itself, and the times of commits.
func files(t *testing.T, table string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(table, func(name string, d fs.DirEntry, err error) error {
		base := d.Name()
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasPrefix(base, ".") || base == "_SUCCESS" || strings.HasPrefix(base, "_last_") || strings.HasSuffix(base, ".crc") ||
			strings.Contains(base, ".checkpoint.") || strings.Contains(name, "_sidecars") {
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		digest := fmt.Sprintf("%x", sha256.Sum256(b))
		if strings.HasSuffix(base, ".json") {
			info, err := d.Info()
			if err != nil {
				return err
			}
			digest += info.ModTime().UTC().String()
		}
		path, err := filepath.Rel(table, name)
		found[path] = digest
		return err
	}))
	return found
}
