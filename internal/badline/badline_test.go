package badline_test

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pondworks/sluice/internal/badline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that sends back what it gets.
func echo(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c) // the line may break it
				_ = c.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

func line(t *testing.T, f badline.Fault) *badline.Line {
	l, err := badline.New(echo(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	l.Set(f)
	return l
}

// say sends text and returns what comes back within a second.
func say(t *testing.T, l *badline.Line, text string) (string, error) {
	c, err := net.Dial("tcp", l.Addr())
	require.NoError(t, err)
	require.NoError(t, c.SetDeadline(time.Now().Add(time.Second)))
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(c, text) // the line may break it
	}()
	defer func() { <-sent }()
	defer c.Close()
	b := make([]byte, len(text))
	n, err := io.ReadFull(c, b)
	return string(b[:n]), err
}

func TestLines(t *testing.T) {
	text := strings.Repeat("0123456789", 10_000)
	good := line(t, badline.Fault{})
	got, err := say(t, good, text)
	require.NoError(t, err)
	require.Equal(t, text, got)
	require.EqualValues(t, len(text), good.Carried())
	require.Zero(t, good.Fired())

	began := time.Now()
	got, err = say(t, line(t, badline.Fault{Rate: 1_000_000, Latency: time.Millisecond}), text)
	require.NoError(t, err)
	require.Equal(t, text, got)
	require.Greater(t, time.Since(began), 100*time.Millisecond, "100 kB at 1 MB a second")

	cut := line(t, badline.Fault{Cut: 50_000})
	got, err = say(t, cut, text)
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Less(t, len(got), len(text))
	require.EqualValues(t, 1, cut.Fired())

	frozen := line(t, badline.Fault{Freeze: 50_000})
	got, err = say(t, frozen, text)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "there is no sign of it")
	require.Less(t, len(got), len(text))
	require.EqualValues(t, 1, frozen.Fired())
	frozen.Set(badline.Fault{})
	got, err = say(t, frozen, text)
	require.NoError(t, err)
	require.Equal(t, text, got)
}
