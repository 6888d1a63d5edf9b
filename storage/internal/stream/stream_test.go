package stream

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestSourceSize(t *testing.T) {
	for name, c := range map[string]struct {
		have string
		size int64
		want error
	}{
		"exact": {"abc", 3, nil}, "unknown": {"abc", -1, nil}, "empty": {"", 0, nil}, "empty, unknown": {"", -1, nil},
		"short": {"abc", 4, ErrShort}, "long": {"abc", 2, ErrLong}, "none said": {"a", 0, ErrLong}, "none there": {"", 1, ErrShort},
	} {
		for how, r := range map[string]io.Reader{
			"whole": strings.NewReader(c.have), "by byte": iotest.OneByteReader(strings.NewReader(c.have)),
			"end with data": iotest.DataErrReader(strings.NewReader(c.have)),
		} {
			s := NewSource(t.Context(), r, c.size)
			failures := 0
			s.OnFailure(func() { failures++ })
			b, err := io.ReadAll(s)
			require.ErrorIs(t, err, c.want, "%s, %s", name, how)
			ended, failed := s.Finish()
			require.Equal(t, c.want == nil, ended, "%s, %s", name, how)
			if c.want == nil {
				require.Equal(t, c.have, string(b))
				require.Zero(t, failures)
				require.NoError(t, failed)
				continue
			}
			require.Equal(t, 1, failures, "%s, %s", name, how)
			require.ErrorIs(t, failed, c.want)
			_, again := io.ReadAll(NewSource(t.Context(), s, -1))
			require.ErrorIs(t, again, ErrReturned, "nobody reads on")
		}
	}
}

// TestSourceEndsWithContext: also when the reader takes the end of the context
// for its own clean end.
func TestSourceEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := NewSource(ctx, endsIt{cancel}, -1)
	_, err := io.ReadAll(s)
	require.ErrorIs(t, err, context.Canceled)
	ended, _ := s.Finish()
	require.False(t, ended)
}

type endsIt struct{ cancel func() }

func (e endsIt) Read([]byte) (int, error) { e.cancel(); return 0, io.EOF }

func TestBody(t *testing.T) {
	broke := errors.New("broke")
	for name, c := range map[string]struct {
		src  io.Reader
		left int64
		want error
	}{
		"as promised":       {strings.NewReader("abc"), 3, nil},
		"nobody knows":      {strings.NewReader("abc"), UnknownSize, nil},
		"cut cleanly":       {strings.NewReader("abc"), 4, io.ErrUnexpectedEOF},
		"cut with its data": {iotest.DataErrReader(strings.NewReader("abc")), 4, ErrLess},
		"range ignored":     {strings.NewReader("abc"), 2, ErrMore},
		"broke":             {io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broke)), 9, broke},
	} {
		t.Run(name, func(t *testing.T) {
			named := errors.New("read k")
			b := &Body{Ctx: t.Context(), Src: io.NopCloser(c.src), Left: c.left,
				Fail: func(err error) error { return errors.Join(named, err) }}
			_, err := io.ReadAll(b)
			require.ErrorIs(t, err, c.want)
			require.Equal(t, c.want != nil, errors.Is(err, named), "each error is named, and no end")
			require.NoError(t, b.Close())
		})
	}
}

func TestReadSmall(t *testing.T) {
	for text, ok := range map[string]bool{"": true, "123": true, "1234": false, "12345": false} {
		b, err := ReadSmall(strings.NewReader(text), 3)
		if ok {
			require.NoError(t, err)
			require.Equal(t, text, string(b))
			continue
		}
		require.ErrorIs(t, err, ErrTooLong)
		require.Nil(t, b)
	}
}
