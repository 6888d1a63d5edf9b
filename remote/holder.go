package remote

import (
	"context"
	"slices"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// holder tells whether the store has what the index of a base says, whose entries come in its
// order: those of one object one after the other. Without a base it tells whether the objects are
// there.
type holder struct {
	s    *session
	l    listing
	base object

	last    *bundle.IndexEntry
	there   bool                     // the object of last
	carries map[string]bundle.Digest // what it carries, by path; nil: what the index says
	looked  int                      // into how many objects
	asked   map[string]bool          // by key, of those that were not listed: whether it is there
}

func newHolder(s *session, l listing, base object) *holder {
	return &holder{s: s, l: l, base: base, asked: map[string]bool{}}
}

// maxLooks bounds into how many objects a holder looks, one after the other while the index is
// read. Where more are newer than the base that refers to them the store was copied as a whole.
const maxLooks = 200

// holds reports whether the object is there that holds a file. What came after the base, in the
// place of what was lost, may be another bundle, with other versions in it.
func (h *holder) holds(ctx context.Context, e bundle.IndexEntry) (bool, error) {
	if h.last == nil || !sameObject(*h.last, e) {
		if err := h.find(ctx, e); err != nil {
			return false, err
		}
		h.last = &e
	}
	if !h.there || h.carries == nil {
		return h.there, nil
	}
	return h.carries[e.Path] == e.SHA256, nil
}

func (h *holder) find(ctx context.Context, e bundle.IndexEntry) (err error) {
	o, listed := h.listed(e)
	h.there, h.carries = listed, nil
	if !listed {
		h.there, err = h.ask(ctx, o.Key)
	}
	if err == nil && h.there && h.isNewer(o) && h.looked < maxLooks {
		h.looked++
		err = h.look(ctx, e, o)
		if isBroken(err) {
			h.there, err = false, nil
		}
	}
	return err
}

// ask asks the store for an object that was not listed, once.
func (h *holder) ask(ctx context.Context, key string) (bool, error) {
	if there, known := h.asked[key]; known {
		return there, nil
	}
	there, err := h.s.has(ctx, key)
	if err != nil {
		return false, err
	}
	if h.asked[key] = there; !there {
		h.s.log.Warn("an object is lost that live files lie in", logKey, key)
	}
	return there, nil
}

// listed returns the object of a file, as it was listed, if it was. A listing leaves out what goes
// by packs or by retention, and has bases of which only the index of a pack tells.
func (h *holder) listed(e bundle.IndexEntry) (object, bool) {
	v := deltalog.Version(e.Version)
	found, is := object{}, false
	switch {
	case e.InBase:
		found, is = find(h.l.bases, v)
		is = is && !found.ModTime.IsZero()
	case e.Part != "":
		from, _ := search(h.l.parts, v)
		to, _ := search(h.l.parts, v+1)
		key := partKey(v, e.Part)
		if i := slices.IndexFunc(h.l.parts[from:to], func(o object) bool { return o.Key == key }); i >= 0 {
			found, is = h.l.parts[from+i], true
		}
	default:
		found, is = find(h.l.bundles, v)
	}
	if !is {
		return h.s.objectOf(e), false
	}
	return found, true
}

// isNewer reports whether an object came after the base. A pack came later than its bundles, and the
// name of a part says what is in it.
func (h *holder) isNewer(o object) bool {
	_, _, isPart := parsePartKey(o.Key)
	known := !o.ModTime.IsZero() && !h.base.ModTime.IsZero()
	return known && !o.pack && !isPart && o.Key != h.base.Key && !o.ModTime.Before(h.base.ModTime)
}

// look reads what an object carries.
func (h *holder) look(ctx context.Context, e bundle.IndexEntry, o object) error {
	h.carries = map[string]bundle.Digest{}
	if e.InBase {
		b, err := h.s.peekBase(ctx, o)
		for _, f := range b.Files {
			h.carries[f.Path] = f.SHA256
		}
		return err
	}
	m, err := h.s.peek(ctx, o)
	for _, v := range m.Versions {
		for _, f := range v.Files {
			h.carries[f.Path] = f.SHA256
		}
	}
	return err
}
