package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// lab is the process of testdata/lab.py: engines that write and read tables. It
// is started once, since Spark takes long for that, and answers one question after the other.
type lab struct {
	mu      sync.Mutex // one question at a time
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Reader
	Engines []string          // that are here
	Absent  map[string]string // why an engine lacks a method
}

var runningLab *lab

var startLab = sync.OnceValues(func() (*lab, error) {
	cmd := exec.Command(os.Getenv("SLUICE_PYTHON"), filepath.Join("testdata", "lab.py"))
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "TMPDIR="+binDir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	runningLab = &lab{cmd: cmd, stdin: stdin, answers: bufio.NewReader(stdout)}
	return runningLab, runningLab.ask(runningLab, "engines", nil)
})

// stopLab ends the process, if it was started.
func stopLab() error {
	if runningLab == nil {
		return nil
	}
	if err := runningLab.stdin.Close(); err != nil {
		return err
	}
	return runningLab.cmd.Wait()
}

// engines returns the lab, or skips.
func engines(t *testing.T) *lab {
	t.Helper()
	if os.Getenv("SLUICE_PYTHON") == "" {
		t.Skip("SKIPPED: SLUICE_PYTHON names no Python with deltalake, polars and duckdb; .ci/run installs one")
	}
	l, err := startLab()
	require.NoError(t, err)
	return l
}

// ask has the lab do something with arguments and decodes what it answers.
func (l *lab) ask(answer any, do string, args map[string]any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	request := map[string]any{"do": do}
	for name, value := range args {
		request[name] = value
	}
	line, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if _, err := l.stdin.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("the lab is gone: %w", err)
	}
	if line, err = l.answers.ReadBytes('\n'); err != nil {
		return fmt.Errorf("the lab is gone: %w", err)
	}
	var reply struct {
		Result json.RawMessage
		Error  string
	}
	if err := json.Unmarshal(line, &reply); err != nil {
		return err
	}
	if reply.Error != "" {
		return fmt.Errorf("%s %v: %s", do, args, reply.Error)
	}
	return json.Unmarshal(reply.Result, answer)
}

// labs asks and fails the test on an error.
func labs[T any](t *testing.T, l *lab, do string, args map[string]any) T {
	t.Helper()
	var answer T
	require.NoError(t, l.ask(&answer, do, args))
	return answer
}

// call asks an engine's method once for each list of arguments. It returns nil
// if the engine has no such method; what the engine refuses begins with "error".
func (l *lab) call(t *testing.T, engine, method, table string, args [][]any) []string {
	t.Helper()
	return labs[[]string](t, l, "ask", map[string]any{"engine": engine, "method": method, "table": table, "args": args})
}
