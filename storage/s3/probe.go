package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pondworks/sluice/storage"
)

// probeKey is where the probe leaves its object, always with the bytes of
// probeBytes, so that any number of probes of any number of writers agree.
const (
	probeKey   = "sluice-probe"
	probeBytes = "sluice probes here whether a multipart upload honours If-None-Match\n"
)

// verdict is what a store knows of multipart uploads of its service.
type verdict uint8

const (
	unknown verdict = iota
	safe
	unsafe
)

// probeMultipart finds out, once per store, whether the service refuses to
// complete a multipart upload onto a taken key. Some honour the condition on
// single requests only: there, two writers of one large object would both win.
// A service that is found out stays refused (storage.ErrUnsafe); a probe that
// could not be finished is repeated next time.
//
// It is harmless on such a service, since the bytes are the same, and needs no
// right beyond those of creating.
func (s *store) probeMultipart(ctx context.Context) error {
	select {
	case s.probing <- struct{}{}:
		defer func() { <-s.probing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if s.multipart == unknown {
		found, err := s.tryMultipart(ctx)
		if err != nil {
			return s.fail(ctx, "probe with", probeKey, err)
		}
		s.multipart = found
	}
	if s.multipart == unsafe {
		return fmt.Errorf("multipart uploads of this service: %w", storage.ErrUnsafe)
	}
	return nil
}

func (s *store) tryMultipart(ctx context.Context) (verdict, error) {
	_, err := s.put(ctx, probeKey, strings.NewReader(probeBytes), "", "*")
	if err != nil && !errors.Is(classify(err), storage.ErrExists) {
		return unknown, err
	}
	id, err := s.beginUpload(ctx, probeKey)
	if err != nil {
		return unknown, err
	}
	part, err := s.sendPart(ctx, probeKey, id, 1, []byte(probeBytes))
	if err == nil {
		err = s.completeUpload(ctx, probeKey, id, []types.CompletedPart{part})
	}
	if err == nil {
		return unsafe, nil
	}
	// What is left is one part of a few bytes. Credentials that may create but
	// not abort are enough to push, so failing to remove it is no failure.
	_ = s.abortUpload(ctx, probeKey, id)
	if errors.Is(classify(err), storage.ErrExists) {
		return safe, nil
	}
	return unknown, err
}
