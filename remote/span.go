package remote

import (
	"cmp"
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

// spansOf puts files that lie close together into one span each. unplaced are
// those whose place is not known.
func spansOf(files []bundle.File, quick int64) (spans []span, unplaced []bundle.File) {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b bundle.File) int { return cmp.Compare(offset(a), offset(b)) })
	wanted, holes, upTo := int64(0), int64(0), int64(0)
	for _, f := range files {
		if f.Place != nil { // small files share frames, which count once
			end := f.Place.Offset + f.Place.Length
			wanted += max(0, end-max(f.Place.Offset, upTo))
			upTo = max(upTo, end)
		}
	}
	for _, f := range files {
		if f.Place == nil {
			unplaced = append(unplaced, f)
			continue
		}
		end := f.Place.Offset + f.Place.Length
		if last := len(spans) - 1; last >= 0 {
			hole := max(0, f.Place.Offset-(spans[last].off+spans[last].n))
			if skips(hole, holes, wanted, quick) {
				holes += hole
				spans[last].n = max(spans[last].n, end-spans[last].off)
				spans[last].files = append(spans[last].files, f)
				continue
			}
		}
		spans = append(spans, span{f.Place.Offset, f.Place.Length, []bundle.File{f}})
	}
	return spans, unplaced
}

func offset(f bundle.File) int64 {
	if f.Place == nil {
		return -1
	}
	return f.Place.Offset
}
