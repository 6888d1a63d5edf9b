package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Probe finds out whether the service behind s honours create-if-absent, by
// creating key twice with the same few bytes: an error wrapping ErrUnsafe says
// that the second Create was not refused, any other error that it could not be
// found out. nil means that it was refused.
//
// The object stays. Since its content never differs, a probe harms nobody on a
// service that overwrites, needs no right but to create, and may run any number of
// times, also by several at once; a key that is taken already answers at once.
// Some services honour the condition for single requests but not for the
// multipart uploads of large objects, which Probe cannot see: use [ProbeLarge].
func Probe(ctx context.Context, s Creator, key string) error {
	return ProbeLarge(ctx, s, key, 0)
}

// ProbeLarge is [Probe] with an object of at least size bytes, so large that the
// driver uploads it in parts. Each size needs a key of its own.
func ProbeLarge(ctx context.Context, s Creator, key string, size int64) error {
	for range 2 {
		err := s.Create(ctx, key, probeContent(size), int64(len(probeText))+size)
		if errors.Is(err, ErrExists) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("probe create-if-absent: %w", err)
		}
	}
	return fmt.Errorf("probe create-if-absent with %s: the second create was not refused: %w", key, ErrUnsafe)
}

// probeText is what the object begins with, for people who find it.
const probeText = "sluice created this object twice to see whether the second attempt is refused.\n"

// probeContent can be read again where it is small, so that a probe is retried like
// any other small Create.
func probeContent(size int64) io.Reader {
	if size == 0 {
		return strings.NewReader(probeText)
	}
	return io.MultiReader(strings.NewReader(probeText), io.LimitReader(zeros{}, size))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
