package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// errTooOld: what was asked for is older than all that the store has, or than all that
// retention left there.
var errTooOld = fmt.Errorf("%w", ErrGap)

// sayOldest returns cause, which was met where version v, or that of a time, was looked
// for, with the oldest version that there is if this one is older.
func (s *session) sayOldest(ctx context.Context, cause error, v *deltalog.Version, t time.Time) error {
	if !errors.Is(cause, ErrGap) || errors.Is(cause, errNotYet) || errors.Is(cause, errInGap) || v == nil && t.IsZero() {
		return cause
	}
	_, l, segments, err := s.wholeHistory(ctx)
	if err != nil || len(segments) == 0 || v != nil && slices.Contains(l.pins, *v) {
		return cause
	}
	first := segments[0].first
	millis, err := s.timeOf(ctx, l, segments[0])
	if err != nil {
		return cause
	}
	is := time.UnixMilli(millis).UTC()
	if v != nil && *v >= first || v == nil && !t.Before(is) {
		return cause
	}
	asked := "no version is as old as " + t.UTC().Format(time.RFC3339Nano)
	if v != nil {
		asked = fmt.Sprintf("version %d", int64(*v))
	}
	why := ""
	if first > 0 && first == l.floor() {
		why = "; retention (prune) gave up what was below"
	}
	return fmt.Errorf("%w: %s: the oldest is version %d, of %s%s", errTooOld, asked, int64(first), is.Format(time.RFC3339Nano), why)
}

// timeOf returns the time of the first version of a segment, in milliseconds. After
// retention no bundle need have it, but a base has.
func (s *session) timeOf(ctx context.Context, l listing, in segment) (int64, error) {
	if o, found := find(l.bases, in.first); found {
		b, err := s.peekBase(ctx, o)
		return b.Timestamp, err
	}
	m, err := s.peek(ctx, in.bundles[0])
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(m.Versions, func(v bundle.Version) bool { return v.Version == int64(in.first) })
	if i < 0 {
		return 0, fmt.Errorf("%w: no bundle of version %d", ErrGap, int64(in.first))
	}
	return m.Versions[i].Timestamp, nil
}
