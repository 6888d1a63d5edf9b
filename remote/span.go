package remote

import (
	"cmp"
	"iter"
	"slices"

	"github.com/pondworks/sluice/bundle"
)

// span is a part of an object that is read with one request, and the files in it.
type span struct {
	off, n int64
	files  []bundle.File
}

// What nobody wants is read, rather than asking twice: up to smallHole bytes between
// two files in any case; up to largeHole as long as all holes together are no more
// than a quarter of what is wanted, and where reading on is faster than one more
// request no more than three times of it: bytes may cost money, and others may need
// the line.
const (
	smallHole = 64 << 10
	largeHole = 1 << 20
)

// skips reports whether to read over a hole, with others before it that make so many
// bytes. quick is up to which size that is faster than one more request, see pace.
func skips(hole, others, wanted, quick int64) bool {
	all := others + hole
	return hole <= smallHole || hole <= largeHole && (all <= wanted/4 || hole <= quick && all <= 3*wanted)
}

// placed returns the files whose places are known, in their order, and the others.
func placed(files []bundle.File) (known, unplaced []bundle.File) {
	for _, f := range files {
		if f.Place == nil {
			unplaced = append(unplaced, f)
		} else {
			known = append(known, f)
		}
	}
	slices.SortStableFunc(known, func(a, b bundle.File) int { return cmp.Compare(a.Place.Offset, b.Place.Offset) })
	return known, unplaced
}

// spansOf puts files in the order of their places into one span each where they lie close
// together. It asks quick for each hole when that is decided: what reading the spans before it
// has shown counts for the next.
func spansOf(files []bundle.File, quick func() int64) iter.Seq[span] {
	return func(yield func(span) bool) {
		wanted, holes := framesOf(files), int64(0)
		var next span
		for _, f := range files {
			off, end := f.Place.Offset, f.Place.Offset+f.Place.Length
			if hole := max(0, off-(next.off+next.n)); next.files != nil && skips(hole, holes, wanted, quick()) {
				holes += hole
				next.n = max(next.n, end-next.off)
				next.files = append(next.files, f)
				continue
			}
			if next.files != nil && !yield(next) {
				return
			}
			next = span{off, f.Place.Length, []bundle.File{f}}
		}
		if next.files != nil {
			yield(next)
		}
	}
}

// framesOf returns the bytes of the frames that files in the order of their places lie in;
// small files share frames, which count once.
func framesOf(files []bundle.File) (n int64) {
	upTo := int64(0)
	for _, f := range files {
		end := f.Place.Offset + f.Place.Length
		n += max(0, end-max(f.Place.Offset, upTo))
		upTo = max(upTo, end)
	}
	return n
}
