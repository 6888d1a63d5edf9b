package remote

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"time"

	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// Pin is a version that Prune leaves restorable, whatever is given up around it.
type Pin struct {
	Version deltalog.Version `json:"version"`
	Name    string           `json:"name"`
}

// pinName are the names of pins: they are parts of keys.
var pinName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// Pin makes Prune keep a version, under a name of up to 100 letters, digits, ".", "_" and "-", the
// first a letter or digit, that says why. The version must be in the store and restorable; else it wraps
// ErrGap. To pin a version again under the same name is no error.
func (r *Replicator) Pin(ctx context.Context, name string, v deltalog.Version) error {
	return opError("pin", r.newSession("pin").pin(ctx, name, v))
}

func (s *session) pin(ctx context.Context, name string, v deltalog.Version) error {
	if !pinName.MatchString(name) {
		return fmt.Errorf("name %q: 1 to 100 letters, digits, '.', '_' and '-', the first a letter or a digit", name)
	}
	if s.store.creator == nil {
		return fmt.Errorf("%w: the store cannot be written", ErrReadOnly)
	}
	id, l, segments, err := s.wholeHistory(ctx)
	if err != nil {
		return err
	}
	if len(segments) == 0 {
		return ErrEmptyStore
	}
	h, err := s.headOf(ctx, id)
	if err != nil {
		return err
	}
	newest := max(l.promisedBy(h), l.bundles[len(l.bundles)-1].version)
	if _, err := segmentOf(segments, v, newest); err != nil && l.startOf(id, v) == l.start(id) {
		return s.sayOldest(ctx, err, &v, time.Time{})
	}
	err = s.createSmall(ctx, pinKey(v, name), pinRecord{storeFormat, id.Lineage, v, name})
	if errors.Is(err, storage.ErrExists) {
		return nil
	}
	return err
}

// pinRecord is backups/pin-<version>-<name>.json, and backups/unpin-<version>-<name>.json
// of a pin that was removed; the key says all of it.
type pinRecord struct {
	Format  int              `json:"format"`
	Lineage string           `json:"lineage"`
	Version deltalog.Version `json:"version"`
	Name    string           `json:"name"`
}

// Unpin removes all pins of a name. What only they kept goes with a Prune after a grace
// period that begins now, for those who restore it at the moment. It needs the right to
// delete. Where no pin has the name it wraps storage.ErrNotFound.
func (r *Replicator) Unpin(ctx context.Context, name string) error {
	return opError("unpin", r.newSession("unpin").unpin(ctx, name))
}

func (s *session) unpin(ctx context.Context, name string) error {
	if s.store.deleter == nil || s.store.creator == nil {
		return fmt.Errorf("%w: objects of the store cannot be deleted", ErrReadOnly)
	}
	id, err := s.ownIdentity(ctx)
	if err != nil {
		return err
	}
	found := false
	for pin, err := range s.pins(ctx) {
		if err == nil && pin.Name == name {
			found, err = true, s.release(ctx, id, pin)
		}
		if err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("no pin has the name %q: %w", name, storage.ErrNotFound)
	}
	return nil
}

// ownIdentity returns the identity of a store, or ErrEmptyStore.
func (s *session) ownIdentity(ctx context.Context) (*identity, error) {
	id, err := s.readIdentity(ctx)
	if id != nil || err != nil {
		return id, err
	}
	l, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	if l.isEmpty(nil) {
		return nil, ErrEmptyStore
	}
	return s.identityBeside(ctx, l, nil)
}

// release removes a pin, after it has noted when.
func (s *session) release(ctx context.Context, id *identity, pin Pin) error {
	key, note := unpinKey(pin.Version, pin.Name), pinRecord{storeFormat, id.Lineage, pin.Version, pin.Name}
	err := s.createSmall(ctx, key, note)
	if errors.Is(err, storage.ErrExists) { // from another time
		if err = s.store.deleter.Delete(ctx, key); err == nil {
			err = s.createSmall(ctx, key, note)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return s.store.deleter.Delete(ctx, pinKey(pin.Version, pin.Name))
}

// Pins yields the pins of the store, by version; an empty store has none. After an error, such as
// ErrCorrupt of a store that has lost its identity, it ends.
func (r *Replicator) Pins(ctx context.Context) iter.Seq2[Pin, error] {
	return r.newSession("pins").pins(ctx)
}

func (s *session) pins(ctx context.Context) iter.Seq2[Pin, error] {
	return func(yield func(Pin, error) bool) {
		if _, err := s.ownIdentity(ctx); err != nil {
			if !errors.Is(err, ErrEmptyStore) {
				yield(Pin{}, opError("pins", err))
			}
			return
		}
		for info, err := range s.store.List(ctx, pinPrefix, "") {
			if err != nil {
				yield(Pin{}, opError("pins", err))
				return
			}
			if v, name, ok := parseNamedKey(pinPrefix, info.Key); ok && !yield(Pin{v, name}, nil) {
				return
			}
		}
	}
}
