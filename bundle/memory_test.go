package bundle

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// heapGrowth tells by how many bytes the heap in use had grown at most while f
// ran, garbage included.
func heapGrowth(f func()) int64 {
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	done, peak := make(chan struct{}), make(chan int64)
	go func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		most := int64(0)
		for {
			runtime.ReadMemStats(&now)
			most = max(most, int64(now.HeapInuse)-int64(before.HeapInuse))
			select {
			case <-done:
				peak <- most
				return
			case <-tick.C:
			}
		}
	}()
	f()
	close(done)
	return <-peak
}

// pseudo yields n bytes that do not compress, cheaply.
type pseudo struct {
	block []byte
	n     int64
}

func (p *pseudo) Read(b []byte) (int, error) {
	if p.n == 0 {
		return 0, io.EOF
	}
	b = b[:min(int64(len(b)), p.n)]
	off := int(p.n * 7919 % int64(len(p.block)/2))
	n := copy(b, p.block[off:])
	p.n -= int64(n)
	return n, nil
}

// One Encode or one Decode stays below bound, whatever the member's size and
// however well it shrinks; so a bomb does no harm.
func TestMemoryOfLargeMembers(t *testing.T) {
	const size = largeMember
	const bound = 16 << 20
	block := randomBytes(1 << 20)
	contents := map[string]func() io.Reader{
		"random": func() io.Reader { return &pseudo{block, size} },
		"zeros":  func() io.Reader { return io.LimitReader(zeros{}, size) },
	}
	for name, content := range contents {
		t.Run(name, func(t *testing.T) {
			files := tree{}
			m := Manifest{Versions: []Version{version(files, 0, "large")}}
			open := func(ctx context.Context, path string) (io.ReadCloser, int64, error) {
				if path == "large" {
					return io.NopCloser(content()), size, nil
				}
				return files.open(ctx, path)
			}
			// Both at once, for a bundle of this size is not kept in memory.
			grown := heapGrowth(func() { decodeWhileEncoding(t, m, open, size) })
			t.Logf("heap grew by %d KiB", grown>>10)
			assert.Less(t, grown, int64(2*bound))
		})
	}
}

func decodeWhileEncoding(t *testing.T, m Manifest, open OpenFunc, size int64) {
	r, w := io.Pipe()
	c := newCodec(t, Limits{})
	sent := make(chan error, 1)
	go func() {
		_, err := c.Encode(t.Context(), w, m, open)
		w.CloseWithError(err)
		sent <- err
	}()
	got, err := c.Decode(t.Context(), r, func(_ context.Context, _ Member, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	})
	r.CloseWithError(err)
	require.NoError(t, err)
	require.NoError(t, <-sent)
	assert.Equal(t, size, got.Versions[0].Files[0].Size)
}

// zeros never end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A description of things that would each take much more memory than its text is
// refused before that.
func TestMemoryOfManyThings(t *testing.T) {
	const size = 2 << 20
	var names strings.Builder
	for i := 0; names.Len() < size; i++ {
		fmt.Fprintf(&names, `,"%x":""`, i)
	}
	parts := map[string]func(raw []byte) error{
		"bundle": func(raw []byte) error { _, err := parseManifest(raw); return err },
		"base":   func(raw []byte) error { _, err := parseBase(raw); return err },
		"part":   func(raw []byte) error { _, err := parsePart(raw, ""); return err },
	}
	for name, tc := range map[string]struct{ object, begin, many, end string }{
		"versions":   {"bundle", `"versions":[{}`, `,{}`, `]`},
		"files":      {"bundle", `"versions":[{"files":[{}`, `,{}`, `]}]`},
		"parts":      {"bundle", `"parts":[{}`, `,{}`, `]`},
		"absent":     {"bundle", `"versions":[{"absent":[""`, `,""`, `]}]`},
		"metadata":   {"bundle", `"versions":[{"metadata":{"x":""`, names.String(), `}}]`},
		"names":      {"bundle", `"versions":[],"later":{"x":""`, names.String(), `}`},
		"of a base":  {"base", `"files":[{}`, `,{}`, `]`},
		"checkpoint": {"base", `"checkpoint":[{}`, `,{}`, `]`},
		"of a part":  {"part", `"files":[{}`, `,{}`, `]`},
	} {
		t.Run(name, func(t *testing.T) {
			raw := []byte(`{"format":1,` + tc.begin + strings.Repeat(tc.many, max(1, size/len(tc.many))) + tc.end + `}`)
			var err error
			grown := heapGrowth(func() { err = parts[tc.object](raw) })
			require.ErrorIs(t, err, ErrCorrupt)
			t.Logf("heap grew by %d KiB: %.80v", grown>>10, err)
			assert.Less(t, grown, int64(20*len(raw)))
		})
	}
}

// What could not be read is not written.
func TestNoDescriptionBeyondTheBounds(t *testing.T) {
	p := newCodec(t, Limits{}).packer(t.Context(), io.Discard, nil)
	defer p.frames.abandon()
	err := p.last("", []byte(`{"absent":[0`+strings.Repeat(",0", maxList)+`]}`), modified)
	require.ErrorIs(t, err, ErrTooLarge)
}
