package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/pondworks/sluice/remote"
)

// terminal opens a pseudo terminal: what is written to user is read from screen.
func terminal(t *testing.T) (user, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("SKIPPED: no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { screen.Close() }) // only read by this test
	fd := int(screen.Fd())
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 40}))
	user, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { user.Close() }) // as above
	return user, screen
}

// TestBarOnATerminal: a bar appears, is never wider than the terminal, and is gone
// before anything else is written.
func TestBarOnATerminal(t *testing.T) {
	user, screen := terminal(t)
	bar := NewBar(user)
	out := bar.Above(user)
	require.True(t, IsTerminal(out))
	bar.Begin("push")
	bar.Versions(remote.Progress{Mode: "push", Bytes: 1 << 30, Done: 1 << 30, Size: 4 << 30})
	r := bufio.NewReader(screen)
	line, err := r.ReadString(']')
	require.NoError(t, err)
	require.Equal(t, "\r\x1b[Kpush [=====               ]", line)
	fmt.Fprintln(out, "done")
	rest, err := r.ReadString('\n')
	require.NoError(t, err)
	for drawn := range strings.SplitSeq(strings.TrimSuffix(line+rest, "done\r\n"), "\r\x1b[K") {
		require.Less(t, len(drawn), 40)
	}
	require.True(t, strings.HasSuffix(rest, "\r\x1b[Kdone\r\n"), "%q", rest)
	bar.Finish()
}

func TestNoBarInAPipe(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	bar := NewBar(w)
	bar.Begin("push")
	require.Nil(t, bar.running)
	read := bar.Reader(bytes.NewReader([]byte("abc")), 3, "reading")
	_, err = io.Copy(bar.Above(w), read)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "abc", string(got))
	require.NoError(t, r.Close())
}
