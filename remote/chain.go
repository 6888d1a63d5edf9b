package remote

import (
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// chain follows the hashes from bundle to bundle, in the order of their keys, and
// tells what is wrong. After what is wrong it goes on from what comes next.
type chain struct {
	found    *findings
	start    deltalog.Version                   // with which the history begins that is promised
	promised deltalog.Version                   // up to which all must be there
	bases    map[deltalog.Version]bundle.Digest // that could be read: the digests of their commits
	hasBase  func(deltalog.Version) bool        // whether there is one, readable or not
	end      deltalog.Version                   // that the chain has come to
	commits  commits                            // up to end, as far back as a bundle may reach
	blind    bool                               // the bundle before could not be read
	over     bool                               // the end is behind us
	partial  bool                               // not all versions from 0 on are there
	aside    []bundle.Manifest                  // that do not hang on the chain, and go beyond its end
	within   func(deltalog.Version) bool        // whether a bundle of that version lies in a recorded gap
}

// add takes the next bundle and reports whether it is part of the history.
func (c *chain) add(m bundle.Manifest) bool {
	first := deltalog.Version(m.Versions[0].Version)
	if first > c.end+1 && len(c.aside) > 0 {
		c.takeAside()
	}
	switch {
	case first > c.end+1 && c.within(first):
		c.found.version(FindingLeftover, first, bundleKey(first), "it lies in a gap that is recorded: its upload went ahead of what was lost")
		return false
	case c.over || (first > c.end+1 || c.commits == nil || m.Versions[0].Gap != nil && first > c.end) && !c.hole(m.Versions[0]):
		c.found.version(FindingLeftover, first, bundleKey(first), "it lies above the end, version %d: its upload is under way, or was cut off", int64(c.end))
		return false
	case first > c.end+1 || c.commits == nil:
		c.commits = commits{}
	case !c.commits.fit(m):
		if deltalog.Version(m.Versions[len(m.Versions)-1].Version) > c.end {
			c.aside = append(c.aside, m)
		} else {
			c.leftover(m)
		}
		return false
	}
	c.extend(m)
	return true
}

// extend makes m the end of the chain, or a second bundle with the same versions.
func (c *chain) extend(m bundle.Manifest) {
	c.commits.add(m)
	for _, ver := range m.Versions {
		v := deltalog.Version(ver.Version)
		if base, found := c.bases[v]; found && base != ver.Commit.SHA256 {
			c.found.version(FindingDiverged, v, baseKey(v), "it is of a commit with sha256 %s, the bundle has %s", base, ver.Commit.SHA256)
		}
		c.end = max(c.end, v)
	}
	c.blind = false
}

// hole tells of what is missing between the end and a version, if anything should
// be there. It reports whether the history goes on.
func (c *chain) hole(ver bundle.Version) bool {
	v := deltalog.Version(ver.Version)
	recorded := ver.Gap != nil && deltalog.Version(ver.Gap.From) <= c.end+1
	c.partial = c.partial || v > c.end+1
	switch {
	case c.blind || v < c.start: // told already, or not promised any more
	case recorded && c.hasBase(v):
		c.found.version(FindingGap, v, bundleKey(v), "%v", &gapAt{version: v, from: deltalog.Version(ver.Gap.From)})
	case recorded:
		c.found.version(FindingMissing, v, baseKey(v), "the bundle records a gap before it, but the base to begin with again is missing")
	case v <= c.end+1:
	case c.end < c.promised:
		c.found.version(FindingMissing, c.end+1, bundleKey(c.end+1), "no bundle carries versions %d to %d, without which none above can be reached", int64(c.end+1), int64(v-1))
	default:
		c.over = true
	}
	return !c.over
}

// unreadable notes that a bundle cannot be read: which versions it has is not known.
func (c *chain) unreadable(o object) {
	c.blind, c.commits = true, nil
	c.end = max(c.end, o.end())
}

// takeAside: a bundle that did not hang on the chain is the only one that goes
// on from its end, so the histories are mixed.
func (c *chain) takeAside() {
	for _, m := range c.aside {
		first, last := m.Versions[0], m.Versions[len(m.Versions)-1]
		if deltalog.Version(last.Version) <= c.end {
			c.leftover(m)
			continue
		}
		v := deltalog.Version(first.Version)
		c.found.version(FindingDiverged, v, bundleKey(v), "it does not follow the bundle before: two histories are mixed")
		c.extend(m)
	}
	c.aside = nil
}

func (c *chain) leftover(m bundle.Manifest) {
	v := deltalog.Version(m.Versions[0].Version)
	c.found.version(FindingLeftover, v, bundleKey(v), "it is of another history; other bundles have its versions")
}

// finish tells of what is known only at the end.
func (c *chain) finish() {
	c.takeAside()
	if c.end < c.promised {
		c.found.version(FindingMissing, c.end+1, bundleKey(c.end+1), "it was stored once, and so were those up to version %d", int64(c.promised))
	}
}

// promisedBy returns up to which version all must be there: the head, the bases and the indexes of
// packs say so, and uploads run only so far ahead of what is not there yet.
func (l *listing) promisedBy(h *head) deltalog.Version {
	v := deltalog.Version(-1)
	if h != nil {
		v = h.Version
	}
	for _, b := range slices.Backward(l.bases) {
		// One without its bundle may be what is left of a push over a hole of the
		// table's log, which begins with the base.
		if _, there := find(l.bundles, b.version); there {
			v = max(v, b.version)
			break
		}
	}
	for _, x := range l.lost {
		v = max(v, x.last)
	}
	if n := len(l.bundles); n > runAhead {
		v = max(v, l.bundles[n-1-runAhead].version-1)
	}
	return v
}
