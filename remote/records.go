package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// storeFormat is the format number of sluice.json and head.json.
const storeFormat = 1

// maxVersion bounds what is believed of a version that an object of the store names:
// no table has a million million, and sums stay far from the end of the numbers.
const maxVersion deltalog.Version = 1 << 40

// identity is sluice.json: created once, by the first push into a store.
type identity struct {
	Format  int              `json:"format"`
	Lineage string           `json:"lineage"`
	TableID string           `json:"table_id"`
	First   deltalog.Version `json:"first_version"`
	Extra   bool             `json:"extra_files"`
	// Encryption is reserved: null is the only value of format 1.
	Encryption any           `json:"encryption"`
	CreatedAt  time.Time     `json:"created_at"`
	Writer     bundle.Writer `json:"writer"`
}

// head is backups/head.json: a hint at the newest version in the store.
type head struct {
	Format    int              `json:"format"`
	Lineage   string           `json:"lineage"`
	Version   deltalog.Version `json:"version"`
	Commit    bundle.Digest    `json:"commit"`    // sha256 of that version's commit file
	Timestamp int64            `json:"timestamp"` // of that version, milliseconds, as Delta counts it
	SinceBase sinceBase        `json:"since_base"`
	Bundles   runHints         `json:"bundles"`
}

// decodeRecord reads a small JSON object of the store. Fields that are not
// known pass, so that a newer writer of the same format may add some.
func decodeRecord(b []byte, into any) error {
	if err := checkSeal(b); err != nil { // first: the format may be what is wrong
		return err
	}
	var format struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &format); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if format.Format > storeFormat {
		return fmt.Errorf("%w: format %d, this program reads up to %d", ErrUnsupported, format.Format, storeFormat)
	}
	if format.Format < 1 {
		return fmt.Errorf("%w: no format number", ErrCorrupt)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return nil
}

func encodeRecord(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, err
	}
	return seal(append(b, '\n')), nil
}

// check refuses what an honest writer never wrote.
func (id *identity) check() error {
	switch {
	case id.Lineage == "":
		return fmt.Errorf("%w: no lineage", ErrCorrupt)
	case id.First < 0 || id.First > maxVersion:
		return fmt.Errorf("%w: history that begins at version %d", ErrCorrupt, int64(id.First))
	case id.Encryption != nil:
		return fmt.Errorf("%w: encryption", ErrUnsupported)
	}
	return nil
}

// readIdentity returns nil if the store has none.
func (s *session) readIdentity(ctx context.Context) (*identity, error) {
	b, _, err := s.store.readSmall(ctx, identityKey)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	var id identity
	if err == nil {
		err = decodeRecord(b, &id)
	}
	if err == nil {
		err = id.check()
	}
	if err != nil {
		return nil, &Error{Key: identityKey, Err: err}
	}
	return &id, nil
}

// readHead returns nil if there is none, or none that can be used: it is a
// hint, so damage to it costs a listing and nothing else. The tag is what Put
// wants, of a damaged head as well.
func (s *session) readHead(ctx context.Context) (*head, string, error) {
	b, tag, err := s.store.readSmall(ctx, headKey)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", headKey, err)
	}
	var h head
	if err := decodeRecord(b, &h); err != nil {
		if errors.Is(err, ErrUnsupported) {
			return nil, "", fmt.Errorf("%s: %w", headKey, err)
		}
		s.log.Warn("head is damaged, listing instead", logError, err)
		return nil, tag, nil
	}
	if h.Version < 0 || h.Version > maxVersion {
		return nil, tag, nil
	}
	h.Bundles.to = h.Version
	return &h, tag, nil
}

// readSmall reads a whole object, with the tag that Put wants if the store has
// such a thing.
func (a *access) readSmall(ctx context.Context, key string) (b []byte, tag string, err error) {
	if a.over != nil {
		return a.over.Get(ctx, key)
	}
	r, err := a.Open(ctx, key, 0, storage.MaxSmall+1)
	if err != nil {
		return nil, "", err
	}
	b, err = io.ReadAll(r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err == nil && len(b) > storage.MaxSmall {
		err = fmt.Errorf("%w: more than %d bytes", ErrCorrupt, storage.MaxSmall)
	}
	return b, "", err
}
