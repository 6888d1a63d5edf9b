package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"gocloud.dev/blob"

	"github.com/pondworks/sluice/storage/internal/stream"
)

const (
	// smallObject is up to which size in bytes an object is read completely
	// before the first request is sent.
	smallObject = 1 << 20
	// partSize and parallelParts bound the memory of one Create: what is being
	// filled and what is on its way. partSize grows only where an object needs more
	// parts than S3 allows, as far as its size is known: any other may reach 78 GiB.
	partSize      = 8 << 20
	parallelParts = 2
	maxParts      = 10_000

	defaultMinBuffer = 256 << 10
)

// Create is Creator.Create. It holds three parts, about 24 MiB, of a large object. If r
// blocks, it returns only when that Read does: it never leaves r in use.
func (s *Store) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	name, err := s.begin(ctx, opCreate, key)
	if err != nil {
		return err
	}
	src := stream.NewSource(ctx, r, size)
	if size >= 0 && size <= smallObject {
		b, err := io.ReadAll(src)
		if err != nil {
			return fmt.Errorf("create %s: %w", key, &stream.SourceError{Err: err})
		}
		src = stream.NewSource(ctx, bytes.NewReader(b), size)
	}
	return s.fail(ctx, opCreate, key, s.upload(ctx, name, src, size, true))
}

// errTorn: the driver says that it stored what it was told not to store.
var errTorn = errors.New("the service may have stored an incomplete object")

// upload stores what src yields, so many bytes (negative: unknown). gocloud
// publishes whatever it was given before the reader failed, unless the context ends
// first, so a failure of src cancels the context before the driver hears of it. It is
// always Bucket.Upload: the writer of azureblob panics when a small write fails.
func (s *Store) upload(ctx context.Context, name string, src *stream.Source, size int64, ifNotExist bool) error {
	uctx, cancel := context.WithCancel(ctx)
	defer cancel()
	src.OnFailure(cancel)
	stored := func() error { return nil }
	err := s.bucket.Upload(uctx, name, src, &blob.WriterOptions{
		ContentType:    "application/octet-stream",
		BufferSize:     s.bufferSize(size),
		MaxConcurrency: parallelParts,
		IfNotExist:     ifNotExist,
		BeforeWrite: func(as func(any) bool) (err error) {
			if s.opts.Stored != nil {
				stored, err = s.opts.Stored(as)
			}
			return err
		},
	})
	if err == nil {
		err = stored()
	}
	ended, failed := src.Finish()
	switch {
	case failed != nil && err == nil:
		return &stream.SourceError{Err: fmt.Errorf("%w, after: %w", errTorn, failed)}
	case failed != nil:
		return &stream.SourceError{Err: failed}
	case err == nil && !ended:
		return errTorn
	}
	return err
}

// bufferSize returns the size of the parts of an object of size bytes
// (negative: unknown). A small object gets a small buffer, since some drivers
// allocate it whole; one byte more than the object, so that it fits one request.
func (s *Store) bufferSize(size int64) int {
	buffer := int64(partSize)
	if size >= 0 {
		buffer = max(min(size+1, partSize), (size+maxParts-1)/maxParts)
	}
	return int(max(buffer, int64(s.opts.MinBuffer)))
}
