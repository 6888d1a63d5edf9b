package s3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/internal/stream"
)

func TestPartSize(t *testing.T) {
	cases := map[string]struct{ size, want int64 }{
		"unknown":               {-1, minPart},
		"empty":                 {0, minPart},
		"most for least parts":  {maxParts * minPart, minPart},
		"one byte more":         {maxParts*minPart + 1, minPart + 1},
		"greatest object of S3": {5 << 40, 549_755_814},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := partSize(c.size, minPart)
			assert.Equal(t, c.want, got)
			assert.LessOrEqual(t, (c.size+got-1)/got, int64(maxParts))
		})
	}
}

func TestReadFirst(t *testing.T) {
	gone := errors.New("gone")
	cases := map[string]struct {
		source  io.Reader
		size    int64
		want    int // bytes
		wantErr error
		mostCap int
	}{
		"empty":                {bytes.NewReader(nil), 0, 0, errSourceEnded, 1},
		"empty, unknown":       {bytes.NewReader(nil), -1, 0, errSourceEnded, firstRead},
		"small":                {bytes.NewReader(pattern(10)), 10, 10, errSourceEnded, 11},
		"small, unknown":       {bytes.NewReader(pattern(10)), -1, 10, errSourceEnded, firstRead},
		"byte by byte":         {iotest.OneByteReader(bytes.NewReader(pattern(10))), 10, 10, errSourceEnded, 11},
		"data with EOF":        {iotest.DataErrReader(bytes.NewReader(pattern(10))), 10, 10, errSourceEnded, 11},
		"part, unknown":        {bytes.NewReader(pattern(1 << 20)), -1, 1 << 20, nil, 1 << 20},
		"more than a part":     {bytes.NewReader(pattern(3 << 20)), 3 << 20, 1 << 20, nil, 1 << 20},
		"says less":            {bytes.NewReader(pattern(10)), 9, 0, errSize, 10},
		"says more":            {bytes.NewReader(pattern(10)), 11, 10, errSize, 12},
		"fails":                {iotest.ErrReader(gone), -1, 0, gone, firstRead},
		"truncated stream":     {io.MultiReader(bytes.NewReader(pattern(10)), iotest.ErrReader(io.ErrUnexpectedEOF)), -1, 10, io.ErrUnexpectedEOF, firstRead},
		"EOF of another":       {iotest.ErrReader(errors.Join(io.EOF)), -1, 0, io.EOF, firstRead},
		"neither data nor end": {idle{}, -1, 0, io.ErrNoProgress, firstRead},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b, err := readFirst(t.Context(), &exactReader{r: c.source, want: c.size}, c.size, 1<<20)
			if c.wantErr == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, c.wantErr)
				assert.Equal(t, c.wantErr == errSourceEnded, errors.Is(err, errSourceEnded), "only the end is the end")
			}
			assert.Equal(t, pattern(c.want), b)
			assert.LessOrEqual(t, cap(b), c.mostCap)
		})
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// TestSourceIsMarked: an error of the source is none of the service, whatever it looks
// like, and nobody tries again for it.
func TestSourceIsMarked(t *testing.T) {
	_, endpoint := newService(t)
	s := open(t, endpoint)
	for _, before := range []int{0, 100, testPart, testPart + 5} {
		r := io.MultiReader(bytes.NewReader(pattern(before)), failing{fmt.Errorf("the other store: %w", storage.ErrUnavailable)})
		err := s.Create(t.Context(), "k", r, int64(before+10))
		require.ErrorAs(t, err, new(*stream.SourceError), before)
		require.ErrorContains(t, err, "source: the other store", before)
	}
}
