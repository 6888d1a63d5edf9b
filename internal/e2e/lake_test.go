package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// lakeSteps is how many steps lake.py has.
const lakeSteps = 12

// lakes are tables in S3 for one test, and the file with the rows of each
// version of the source.
type lakes struct {
	s3       place
	expected string
}

// newLakes is for tests that need S3.
func newLakes(t *testing.T) *lakes {
	t.Helper()
	s3, ok := places(t)["s3"]
	if !ok {
		t.Skip("SKIPPED: SLUICE_TEST_S3 names no S3 service; .ci/run starts one")
	}
	s3.env = append(s3.env, "AWS_ENDPOINT_URL="+os.Getenv("SLUICE_TEST_S3"), "AWS_ALLOW_HTTP=true", "AWS_REGION=us-east-1")
	expected := filepath.Join(t.TempDir(), "expected.jsonl")
	require.NoError(t, os.WriteFile(expected, nil, 0o644))
	return &lakes{s3, expected}
}

// table is the URL of a table as sluice takes it.
func (l *lakes) table(t *testing.T, name string) string {
	t.Helper()
	return l.s3.under(t, name)
}

// run has delta-rs do something with a table, which is a folder or a URL.
func (l *lakes) run(t *testing.T, what, table string, args ...string) string {
	t.Helper()
	table, _, _ = strings.Cut(table, "?") // the rest is for sluice
	cmd := python(t, append([]string{"lake.py", what, table}, args...)...)
	cmd.Env = append(os.Environ(), l.s3.env...)
	out, err := cmd.Output()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// write makes steps first..last of the source.
func (l *lakes) write(t *testing.T, table string, first, last int) {
	t.Helper()
	lines := l.run(t, "write", table, strconv.Itoa(first), strconv.Itoa(last))
	f, err := os.OpenFile(l.expected, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(lines)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

// requireRows has delta-rs read every version from first on.
func (l *lakes) requireRows(t *testing.T, table string, first int) {
	t.Helper()
	t.Logf("versions that delta-rs read: %s", strings.TrimSpace(l.run(t, "read", table, l.expected, fmt.Sprint(first))))
}

// TestSourceInS3 pushes a table that delta-rs writes right into S3.
func TestSourceInS3(t *testing.T) {
	l := newLakes(t)
	source, backups := l.table(t, "source"), "file://"+filepath.ToSlash(t.TempDir())+"/backups"
	folder := filepath.Join(t.TempDir(), "replica")
	for step := 0; step < lakeSteps; step += 4 {
		l.write(t, source, step, step+3)
		require.Contains(t, must(t, l.s3.env, "push", source, backups), "versions")
		if step == 0 {
			must(t, nil, "init", folder, backups)
		} else {
			must(t, nil, "pull", folder, backups)
		}
		l.requireRows(t, folder, 0)
	}
	require.Contains(t, must(t, l.s3.env, "push", source, backups), "nothing new")
	require.Contains(t, must(t, l.s3.env, "status", source, backups), "0 behind, 0 ahead")
}

// TestReplicaInS3 has delta-rs read, right in S3, what init and pull write there.
func TestReplicaInS3(t *testing.T) {
	l := newLakes(t)
	source, backups := filepath.Join(t.TempDir(), "source"), "file://"+filepath.ToSlash(t.TempDir())+"/backups"
	replica := l.table(t, "replica")
	for step := 0; step < lakeSteps; step += 4 {
		l.write(t, source, step, step+3)
		must(t, nil, "push", source, backups)
		if step == 0 {
			must(t, l.s3.env, "init", replica, backups)
		} else {
			must(t, l.s3.env, "pull", replica, backups)
		}
		l.requireRows(t, replica, 0)
	}
	require.Contains(t, must(t, l.s3.env, "status", replica, backups), "0 behind, 0 ahead")
}

// TestLiveReplicaInS3 does the same where the replica begins at a base, whose
// checkpoint is the only one and has no commits below.
func TestLiveReplicaInS3(t *testing.T) {
	l := newLakes(t)
	source, backups := l.table(t, "source"), l.table(t, "backups")
	l.write(t, source, 0, 8)
	must(t, l.s3.env, "push", source, backups)
	must(t, l.s3.env, "base", source, backups)
	l.write(t, source, 9, lakeSteps-1)
	must(t, l.s3.env, "push", source, backups)
	replica := l.table(t, "live")
	must(t, l.s3.env, "init", "--history", "live", replica, backups)
	l.requireRows(t, replica, 8)
}
