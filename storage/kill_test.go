package storage_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
)

// killedStore tells the test binary, run once more, to be the process that is
// killed: it fills the store in this folder from object killedFirst on.
const (
	killedStore = "SLUICE_TEST_KILLED_STORE"
	killedFirst = "SLUICE_TEST_KILLED_FIRST"
	killedHint  = "head.json"
)

func killedKey(i int) string { return fmt.Sprintf("backups/version-%06d/bundle", i) }

// killedContent is up to 400 kB, most of which a kill finds half-written.
func killedContent(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%06d\n", i), 1+i*7919%60_000) }

// killedNote is what Put writes: its length tells of a mixture of two.
func killedNote(i int) []byte { return bytes.Repeat([]byte{byte('a' + i%26)}, 1+i*7919%60_000) }

// TestKilledFiller is the body of the process that TestKill kills.
func TestKilledFiller(t *testing.T) {
	folder := os.Getenv(killedStore)
	if folder == "" {
		t.Skip("only for TestKill")
	}
	s, err := storage.OpenDir(folder)
	require.NoError(t, err)
	i, err := strconv.Atoi(os.Getenv(killedFirst))
	require.NoError(t, err)
	for ; ; i++ {
		b := killedContent(i)
		err := s.Create(t.Context(), killedKey(i), &slowly{b, len(b) / 2, func() { fmt.Println("half", i) }}, int64(len(b)))
		if !errors.Is(err, storage.ErrExists) { // the one before was killed after it was there
			require.NoError(t, err)
		}
		fmt.Println("created", i)
		_, err = s.Put(t.Context(), killedHint, killedNote(i), "")
		require.NoError(t, err)
		fmt.Println("put", i)
	}
}

// slowly is a source that takes its time, so that most kills come while it is read, and
// tells when half of it was.
type slowly struct {
	left []byte
	half int
	tell func()
}

func (s *slowly) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		return 0, io.EOF
	}
	time.Sleep(20 * time.Microsecond)
	n := copy(p[:min(len(p), 8<<10)], s.left)
	if before := len(s.left); before >= s.half && before-n < s.half {
		s.tell()
	}
	s.left = s.left[n:]
	return n, nil
}

// TestKill kills a process that fills a store, at whatever it is doing, again and
// again: no object is ever visible but whole, what was acknowledged is there, and what
// is left over is in nobody's way.
func TestKill(t *testing.T) {
	kills := 15
	if n, err := strconv.Atoi(os.Getenv("SLUICE_KILLS")); err == nil {
		kills = n
	}
	var folder string
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	noNames := canUnnamed(t)
	var at killedAt
	cut, n, objects := 0, 0, 0
	for ; n < kills || cut == 0 && n < 10*kills; n++ {
		if n%20 == 0 { // a fresh one, lest looking through it takes ever longer
			folder, objects, at = filepath.Join(t.TempDir(), "store"), objects+at.created, killedAt{}
		}
		at.run(t, folder, rng)
		at.check(t, folder, noNames)
		if at.half > at.created {
			cut++
		}
	}
	t.Logf("seed %d: %d kills, %d of them in the middle of a file; %d objects; SLUICE_KILLS sets how many", seed, n, cut, objects+at.created)
	require.Positive(t, cut, "no kill met a file that was half-written")
}

// canUnnamed says whether files can be made here without a name.
func canUnnamed(t *testing.T) (can bool) {
	folder := filepath.Join(t.TempDir(), "store")
	require.NoError(t, create(t, openDir(t, folder), "a/b", "seen while it is written"))
	d := openDir(t, folder)
	require.NoError(t, d.Create(t.Context(), "a/k", looks(func() {
		there, err := os.ReadDir(filepath.Join(folder, "a"))
		require.NoError(t, err)
		can = len(there) == 1
	}), -1))
	return can
}

// looks is an empty source that looks at what is there while it is read.
type looks func()

func (l looks) Read([]byte) (int, error) { l(); return 0, io.EOF }

// killedAt is how far the processes came.
type killedAt struct {
	created, put int // that were acknowledged, counted
	half         int // of which half was read, counted
}

// run kills one process after some acknowledgements and a moment.
func (at *killedAt) run(t *testing.T, folder string, rng *rand.Rand) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledFiller$")
	cmd.Env = append(os.Environ(), killedStore+"="+folder, fmt.Sprintf("%s=%d", killedFirst, at.created))
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for range 1 + rng.IntN(6) {
		require.True(t, lines.Scan(), "it ended by itself")
		at.note(t, lines.Text())
	}
	time.Sleep(time.Duration(rng.IntN(1500)) * time.Microsecond) // into the midst of something
	require.NoError(t, cmd.Process.Kill())
	for lines.Scan() {
		at.note(t, lines.Text())
	}
	require.Error(t, cmd.Wait(), "killed")
}

func (at *killedAt) note(t *testing.T, line string) {
	t.Helper()
	var what string
	var i int
	_, err := fmt.Sscanf(line, "%s %d", &what, &i)
	require.NoError(t, err, line)
	switch what {
	case "half":
		at.half = i + 1
	case "created":
		at.created = i + 1
	default:
		at.put = i + 1
	}
}

// check looks at all objects, and at what is beside them.
func (at *killedAt) check(t *testing.T, folder string, noNames bool) {
	t.Helper()
	s, err := storage.OpenDir(folder)
	require.NoError(t, err)
	listed := map[string]bool{}
	for info, err := range s.List(t.Context(), "", "") {
		require.NoError(t, err)
		listed[info.Key] = true
		if info.Key == killedHint {
			continue
		}
		var i int
		_, err := fmt.Sscanf(info.Key, "backups/version-%d/bundle", &i)
		require.NoError(t, err, info.Key)
		require.LessOrEqual(t, i, at.created, "the one after the last acknowledged at most")
		r, err := s.Open(t.Context(), info.Key, 0, -1)
		require.NoError(t, err)
		b, err := io.ReadAll(r)
		require.NoError(t, errors.Join(err, r.Close()))
		require.True(t, bytes.Equal(killedContent(i), b), "%s: %d bytes", info.Key, len(b))
	}
	for i := range at.created {
		require.Contains(t, listed, killedKey(i))
	}
	if at.put > 0 || listed[killedHint] {
		b, _, err := s.Get(t.Context(), killedHint)
		require.NoError(t, err)
		// Each process goes on behind what was created, so several in turn may have
		// been killed between a Put and its acknowledgement.
		whole := false
		for i := max(0, at.put-1); i <= at.created; i++ {
			whole = whole || bytes.Equal(b, killedNote(i))
		}
		require.True(t, whole, "no note from %d to %d: %d bytes", at.put-1, at.created, len(b))
	}
	require.NoError(t, filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		key, rerr := filepath.Rel(folder, path)
		if err == nil && !e.IsDir() && !listed[filepath.ToSlash(key)] {
			require.Contains(t, filepath.Base(key), ".sluice-tmp-")
			require.False(t, noNames && strings.HasPrefix(key, "backups"), "%s is left of a Create", key)
		}
		return errors.Join(err, rerr)
	}))
}
