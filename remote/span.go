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

// spanWaste is how many bytes that nobody wants are read rather than asking
// twice: about what a connection carries while a request waits for its answer.
const spanWaste = 1 << 20

// spansOf puts files that lie close together into one span each. unplaced are
// those whose place is not known.
func spansOf(files []bundle.File) (spans []span, unplaced []bundle.File) {
	files = slices.Clone(files)
	slices.SortStableFunc(files, func(a, b bundle.File) int { return cmp.Compare(offset(a), offset(b)) })
	for _, f := range files {
		if f.Place == nil {
			unplaced = append(unplaced, f)
			continue
		}
		end := f.Place.Offset + f.Place.Length
		if last := len(spans) - 1; last >= 0 && f.Place.Offset-(spans[last].off+spans[last].n) <= spanWaste {
			spans[last].n = max(spans[last].n, end-spans[last].off)
			spans[last].files = append(spans[last].files, f)
			continue
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
