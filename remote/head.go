package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

func newIdentity(tableID string, first deltalog.Version, extra bool, now time.Time, w bundle.Writer) *identity {
	return &identity{
		Format:    storeFormat,
		Lineage:   uuid.NewString(),
		TableID:   tableID,
		First:     first,
		Extra:     extra,
		CreatedAt: now.UTC().Truncate(time.Millisecond),
		Writer:    w,
	}
}

// createSmall creates an object of JSON.
func (s *session) createSmall(ctx context.Context, key string, v any) error {
	b, err := encodeRecord(v)
	if err != nil {
		return err
	}
	return s.store.creator.Create(ctx, key, bytes.NewReader(b), int64(len(b)))
}

// updateHead writes the head if it does not say what pos says. The head is a
// hint: not being able to write it is noted and never an error, and it is
// never retried.
func (s *session) updateHead(ctx context.Context, pos *position) error {
	if !pos.some || !pos.mend || s.store.over == nil || pos.isBehind() {
		return nil
	}
	tag, err := s.putHead(ctx, pos, pos.tag)
	if errors.Is(err, storage.ErrChanged) {
		return s.headChanged(ctx, pos)
	}
	if err != nil {
		s.log.Warn("head not updated", logKey, headKey, logError, err)
		return nil
	}
	pos.tag, pos.mend = tag, false
	return nil
}

func (s *session) putHead(ctx context.Context, pos *position, ifMatch string) (tag string, err error) {
	// On one line: it is read with every pull.
	b, err := json.Marshal(head{storeFormat, pos.identity.Lineage, pos.last, pos.commit, pos.time, pos.base, pos.runs})
	if err != nil {
		return "", err
	}
	return s.store.over.Put(ctx, headKey, seal(b), ifMatch)
}

// checkPassed makes sure that a history which has come to our version, or past it, has our
// commit there, as far as its head tells: where we recorded a gap, another pusher may have
// taken the versions below and ours with them.
func (s *session) checkPassed(ctx context.Context, pos *position, h *head) error {
	there := h.Commit
	if h.Version > pos.last {
		if _, _, known := h.Bundles.bundleOf(pos.last); !known {
			return nil
		}
		v, err := s.storedVersion(ctx, pos.last, h.Bundles)
		if err != nil {
			return err
		}
		there = v.Commit.SHA256
	}
	if there != pos.commit {
		return diverged(pos.last, pos.commit, there)
	}
	return nil
}

// headChanged finds out why the head is not the one that this process last
// saw: another pusher moved it, which is fine, or somebody emptied or
// replaced the store under us, which must not pass in silence.
func (s *session) headChanged(ctx context.Context, pos *position) error {
	h, tag, err := s.readHead(ctx)
	if err != nil {
		return err
	}
	pos.tag = tag
	if h != nil && h.Lineage == pos.identity.Lineage && h.Version >= pos.last {
		if err := s.checkPassed(ctx, pos, h); err != nil {
			return err
		}
		pos.newer, pos.mend = h.Version, false
		return nil
	}
	id, err := s.readIdentity(ctx)
	if err != nil {
		return err
	}
	if id == nil || id.Lineage != pos.identity.Lineage {
		return fmt.Errorf("%w: the store was emptied or replaced while this process ran: its lineage was %s", ErrDiverged, pos.identity.Lineage)
	}
	found, err := s.locateByList(ctx, id)
	if err != nil {
		return err
	}
	if !found.some || found.last < pos.last {
		return fmt.Errorf("%w: versions were removed from the store while this process ran: it ended at version %d", ErrGap, int64(pos.last))
	}
	if pos.tag, err = s.putHead(ctx, pos, tag); err != nil {
		s.log.Warn("head not updated", logKey, headKey, logError, err)
		return nil
	}
	pos.mend = false
	return nil
}
