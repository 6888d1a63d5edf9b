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

// What nobody wants is read, rather than asking twice, up to smallHole bytes
// between two files in any case, and up to largeHole as long as all holes together
// are no more than a quarter of what is wanted: about what a connection carries
// while a request waits for its answer, but never much more than is live.
const (
	smallHole = 64 << 10
	largeHole = 1 << 20
)

// spansOf puts files that lie close together into one span each. unplaced are
// those whose place is not known.
func spansOf(files []bundle.File) (spans []span, unplaced []bundle.File) {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b bundle.File) int { return cmp.Compare(offset(a), offset(b)) })
	wanted, holes := int64(0), int64(0)
	for _, f := range files {
		if f.Place != nil {
			wanted += f.Place.Length
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
			if hole <= smallHole || hole <= largeHole && holes+hole <= wanted/4 {
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
