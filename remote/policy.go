package remote

import "github.com/pondworks/sluice/deltalog"

// sinceBase is what decides when the next base is due. It travels in the head,
// so that a fresh process knows it without a listing; it is a hint like all of
// the head, and being wrong costs a base too many or too few.
type sinceBase struct {
	// Version is that of the newest base; nil if there is none.
	Version *deltalog.Version `json:"version,omitempty"`
	// Size of that base, in bytes.
	Size int64 `json:"size"`
	// Live is how many bytes were live there, before compression.
	Live int64 `json:"live"`
	// Pushed counts the bytes of the bundles after it.
	Pushed int64 `json:"pushed"`
}

// The cost of bases. One is taken when the bundles since the last one have
//
//	baseShare times its size: so bases add at most 1/baseShare to what is
//	pushed, and as little if the live set, and with it the size, doubles meanwhile;
//	1/tailShare of the live bytes: so a live init reads the live files and at
//	most that much of bundles after them. A base more often would gain nothing;
//	minBase bytes: so that a small table is not mostly bases.
//
// Where live files are small, the first term rules: the tail is then up to
// baseShare times the base, which is itself a small part of what it lists.
const (
	baseShare = 20
	tailShare = 4
	minBase   = 1 << 20
)

// due reports whether a base should be taken now.
func (b sinceBase) due() bool {
	return b.Pushed >= max(baseShare*b.Size, b.Live/tailShare, minBase)
}

// sinceBaseOf is what a listing can tell: everything but the live bytes.
func sinceBaseOf(l listing, end deltalog.Version) sinceBase {
	var b sinceBase
	after := deltalog.Version(-1)
	for _, base := range l.bases {
		if base.version <= end {
			after = base.version
			b.Version, b.Size = &base.version, base.Size
		}
	}
	for _, o := range l.bundles {
		if o.version > after && o.version <= end {
			b.Pushed += o.Size
		}
	}
	return b
}
