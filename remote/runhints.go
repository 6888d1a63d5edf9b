package remote

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/pondworks/sluice/deltalog"
)

// runHints says which bundles carry more than one version, so that whoever reads
// the head knows the keys of many bundles without a listing. Like all of the head
// it may be wrong, which costs a listing.
type runHints struct {
	// From is the version from which on every bundle of several versions is among
	// Runs; of what is below nothing is known.
	From deltalog.Version `json:"from"`
	Runs []runs           `json:"runs,omitempty"`

	to deltalog.Version // the newest version that they know of: the head's
}

// onlyTo are hints that know of no bundle, but that there is a version.
func onlyTo(v deltalog.Version) runHints { return runHints{From: math.MaxInt64, to: v} }

// runs are count bundles of length versions each, the first under the key of
// version first, one after the other.
type runs struct{ first, length, count deltalog.Version }

// maxRunHints bounds the list: the head is read with every pull and must stay
// small.
const maxRunHints = 24

func (r runs) end() deltalog.Version { return r.first + r.length*r.count }

// MarshalJSON gives [first, length, count].
func (r runs) MarshalJSON() ([]byte, error) {
	return json.Marshal([]deltalog.Version{r.first, r.length, r.count})
}

// UnmarshalJSON refuses what is no such list.
func (r *runs) UnmarshalJSON(b []byte) error {
	var n []deltalog.Version
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	if len(n) != 3 || n[0] < 0 || n[0] > maxVersion || n[1] < 2 || n[1] > maxRun || n[2] < 1 || n[2] > 1<<20 {
		return fmt.Errorf("%s are no runs", b)
	}
	*r = runs{n[0], n[1], n[2]}
	return nil
}

// with returns the hints with one more bundle, the newest.
func (h runHints) with(first, last deltalog.Version) runHints {
	length := last - first + 1
	if length < 2 {
		return h
	}
	h.Runs = slices.Clone(h.Runs)
	if n := len(h.Runs); n > 0 && h.Runs[n-1].end() == first && h.Runs[n-1].length == length {
		h.Runs[n-1].count++
		return h
	}
	h.Runs = append(h.Runs, runs{first, length, 1})
	if len(h.Runs) > maxRunHints {
		h.From = max(h.From, h.Runs[0].end())
		h.Runs = h.Runs[1:]
	}
	return h
}

// bundleOf returns the bundle that carries v, by its first and last version;
// known is false if the hints do not reach back to it.
func (h runHints) bundleOf(v deltalog.Version) (first, last deltalog.Version, known bool) {
	if v < h.From || v > h.to {
		return 0, 0, false
	}
	for _, r := range h.Runs {
		if r.first <= v && v < r.end() {
			first = r.first + (v-r.first)/r.length*r.length
			return first, first + r.length - 1, true
		}
	}
	return v, v, true
}

// maxHinted bounds how many bundles are taken from hints: a head that lies must not
// make us list a million million. Beyond it a listing tells.
const maxHinted = 20_000

// bundles returns the bundles that carry the versions from first to last; known is
// false if the hints do not reach back to first, or there would be very many.
func (h runHints) bundles(first, last deltalog.Version) (all []object, known bool) {
	for v := first; v <= last; v++ {
		key, end, known := h.bundleOf(v)
		if !known || len(all) == maxHinted {
			return nil, false
		}
		all = append(all, bundleAt(key))
		v = end
	}
	return all, true
}
