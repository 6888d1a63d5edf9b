package remote

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/pondworks/sluice/bundle"
)

// row makes files of n bytes each, with holes between them.
func row(n int64, holes ...int64) []bundle.File {
	files := []bundle.File{{Path: "0", Place: &bundle.Place{Offset: 0, Length: n}}}
	end := n
	for i, hole := range holes {
		files = append(files, bundle.File{Path: fmt.Sprint(i + 1), Place: &bundle.Place{Offset: end + hole, Length: n}})
		end += hole + n
	}
	return files
}

// shared makes files that lie in one frame of so many bytes.
func shared(files int, frame int64) []bundle.File {
	all := make([]bundle.File, files)
	for i := range all {
		all[i] = bundle.File{Path: fmt.Sprint(i), Place: &bundle.Place{Length: frame, Skip: int64(i) * 100}}
	}
	return all
}

func shift(files []bundle.File, by int64) []bundle.File {
	for _, f := range files {
		f.Place.Offset += by
	}
	return files
}

func TestSpans(t *testing.T) {
	const kib, mib = 1 << 10, 1 << 20
	for _, c := range []struct {
		name  string
		files []bundle.File
		quick int64
		want  [][2]int64 // offset and length
	}{
		{"side by side", row(100, 0, 0), 0, [][2]int64{{0, 300}}},
		{"small holes, however little is wanted", row(1, 64*kib, 64*kib), 0, [][2]int64{{0, 128*kib + 3}}},
		{"a hole above that", row(1, 64*kib+1), 0, [][2]int64{{0, 1}, {64*kib + 2, 1}}},
		{"a quarter of what is wanted", row(mib, 256*kib, 256*kib, 256*kib, 256*kib), 0, [][2]int64{{0, 5*mib + mib}}},
		{"more than a quarter", row(mib, 600*kib, 600*kib), 0, [][2]int64{{0, 2*mib + 600*kib}, {2*mib + 1200*kib, mib}}},
		{"as much as a line carries meanwhile", row(mib, 600*kib, 600*kib), 600 * kib, [][2]int64{{0, 3*mib + 1200*kib}}},
		{"more than it carries", row(mib, 700*kib, 700*kib), 700*kib - 1, [][2]int64{{0, 2*mib + 700*kib}, {2*mib + 1400*kib, mib}}},
		{"a quick line, and a hole that is too large", row(mib, mib+1), 1 << 40, [][2]int64{{0, mib}, {2*mib + 1, mib}}},
		{"a quick line, three quarters of it holes", row(256*kib, mib, mib-512*kib), 1 << 40, [][2]int64{{0, 2*mib + 256*kib}}},
		{"files that share frames, which are wanted once", slices.Concat(shared(100, 16*kib), shift(shared(100, 16*kib), mib)), 1 << 40, [][2]int64{{0, 16 * kib}, {mib, 16 * kib}}},
		{"a quick line, and little is wanted", row(100*kib, mib, mib), 1 << 40, [][2]int64{{0, 100 * kib}, {mib + 100*kib, 100 * kib}, {2*mib + 200*kib, 100 * kib}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			known, unplaced := placed(append(c.files[1:], c.files[0]))
			assert.Empty(t, unplaced)
			var got [][2]int64
			files := 0
			for sp := range spansOf(known, func() int64 { return c.quick }) {
				got = append(got, [2]int64{sp.off, sp.n})
				files += len(sp.files)
			}
			assert.Equal(t, c.want, got)
			assert.Len(t, c.files, files)
		})
	}
}

// TestSpansOverlap: files that share frames make a span no longer than these.
func TestSpansOverlap(t *testing.T) {
	files := []bundle.File{
		{Path: "a", Place: &bundle.Place{Offset: 10, Length: 100}},
		{Path: "b", Place: &bundle.Place{Offset: 10, Length: 40, Skip: 7}},
		{Path: "none"},
	}
	known, unplaced := placed(files)
	assert.Equal(t, []bundle.File{{Path: "none"}}, unplaced)
	assert.Equal(t, []span{{10, 100, files[:2]}}, slices.Collect(spansOf(known, func() int64 { return 0 })))
}

// TestSpansLearn: what the first span showed of the line counts for what follows it.
func TestSpansLearn(t *testing.T) {
	const kib = 1 << 10
	files, quick := row(256*kib, 512*kib, 512*kib, 512*kib), int64(0)
	var got [][2]int64
	for sp := range spansOf(files, func() int64 { return quick }) {
		got = append(got, [2]int64{sp.off, sp.n})
		quick = 512 * kib
	}
	assert.Equal(t, [][2]int64{{0, 256 * kib}, {768 * kib, 1792 * kib}}, got)
}
