package remote

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// A pack is many bundles in one object, one after the other, byte for byte
// (bundle/FORMAT.md, "Packs"). Its index, an object of its own that is created
// after the pack was read back, says which bundle lies where; from then on readers
// take the bundles from the pack.

// packIndex is backups/index-<first>-<last>.json.
type packIndex struct {
	Format  int           `json:"format"`
	Lineage string        `json:"lineage"`
	Pack    string        `json:"pack"`   // key of the pack
	Size    int64         `json:"size"`   // bytes of the pack
	SHA256  bundle.Digest `json:"sha256"` // of the pack
	Bundles []packed      `json:"bundles"`
	// Bases are the bases of versions below the last, which readers that skip the
	// keys of the bundles do not see.
	Bases []baseSize `json:"bases,omitempty"`
}

// baseSize is a base by its version and its bytes, in JSON [version, size].
type baseSize [2]int64

// packed is a bundle in a pack: the versions that it carries, and where it lies.
type packed struct {
	first, last  deltalog.Version
	offset, size int64
}

// MarshalJSON gives [first, last, offset, size].
func (p packed) MarshalJSON() ([]byte, error) {
	return json.Marshal([]int64{int64(p.first), int64(p.last), p.offset, p.size})
}

// UnmarshalJSON refuses what is no such list.
func (p *packed) UnmarshalJSON(b []byte) error {
	var n []int64
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	if len(n) != 4 || n[0] < 0 || n[1] < n[0] || n[1]-n[0] >= maxRun || n[2] < 0 || n[3] < 1 {
		return fmt.Errorf("%s is no bundle in a pack", b)
	}
	*p = packed{deltalog.Version(n[0]), deltalog.Version(n[1]), n[2], n[3]}
	return nil
}

// check refuses an index that no writer wrote: the bundles lie one after the other
// and follow each other without a gap.
func (x *packIndex) check() error {
	if len(x.Bundles) == 0 {
		return fmt.Errorf("%w: no bundles", ErrCorrupt)
	}
	at, next := int64(0), x.Bundles[0].first
	for _, b := range x.Bundles {
		if b.offset != at || b.first > next || b.last < next {
			return fmt.Errorf("%w: the bundle of version %d at byte %d, want version %d at byte %d", ErrCorrupt, int64(b.first), b.offset, int64(next), at)
		}
		at, next = b.offset+b.size, b.last+1
	}
	if x.Size != at || x.Pack != packKey(x.first(), x.last()) {
		return fmt.Errorf("%w: bundles of %d bytes in %q of %d", ErrCorrupt, at, x.Pack, x.Size)
	}
	return nil
}

func (x *packIndex) first() deltalog.Version { return x.Bundles[0].first }
func (x *packIndex) last() deltalog.Version  { return x.Bundles[len(x.Bundles)-1].last }

// objects returns the bundles as a listing has them. created is when the index
// was.
func (x *packIndex) objects(index storage.Info) []object {
	all := make([]object, len(x.Bundles))
	for i, b := range x.Bundles {
		all[i] = object{version: b.first, last: b.last, off: b.offset, pack: true, Info: storage.Info{Key: x.Pack, Size: b.size, ModTime: index.ModTime}}
	}
	return all
}

// readIndex reads the index of a pack.
func (s *session) readIndex(ctx context.Context, key string) (*packIndex, error) {
	b, _, err := s.store.readSmall(ctx, key)
	var x packIndex
	if err == nil {
		err = decodeRecord(b, &x)
	}
	if err == nil {
		err = x.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return &x, nil
}
