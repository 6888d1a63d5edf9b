package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"gocloud.dev/blob"
)

// BucketOptions describes what the portable API of gocloud.dev does not tell
// of a bucket. nil and the zero value suit a memory bucket; for a cloud's
// bucket, the driver packages of this module fill it in.
type BucketOptions struct {
	// Prefix is put before every key, with a slash between; "" for none.
	Prefix string
	// Classify maps an error of the driver's SDK to one of this package's
	// sentinels; nil means that it cannot tell, and then the default decides
	// by error codes, HTTP status and network errors. gocloud's own code is not
	// enough: among others, its gcs driver reports a denied request as "not found".
	Classify func(error) error
	// StartAfter makes the driver's list request begin after the (whole) key
	// after, or at it. as gives access to that request, as in
	// blob.ListOptions.BeforeList. nil: what comes before is read and skipped.
	StartAfter func(after string, as func(any) bool) error
	// MinBuffer is the least buffer in bytes that the driver takes for an
	// upload. Default 256 KiB.
	MinBuffer int
}

// Bucket is a Store over a bucket of gocloud.dev. It is also a Deleter and an
// Overwriter; the latter cannot tell contents apart and so ignores ifMatch.
// Whether its Create is safe depends on the service: see [Probe].
type Bucket struct {
	bucket *blob.Bucket
	prefix string // "" or ending in a slash
	opts   BucketOptions
}

var (
	_ Store      = (*Bucket)(nil)
	_ Deleter    = (*Bucket)(nil)
	_ Overwriter = (*Bucket)(nil)
)

// NewBucket returns a Store over b, which stays the caller's to close. opts may
// be nil. A bucket of fileblob is refused with an error wrapping ErrUnsafe,
// since it creates by looking first and renaming then, so that two writers can
// both win, and does not fsync: use [OpenDir] for a folder.
func NewBucket(b *blob.Bucket, opts *BucketOptions) (*Bucket, error) {
	if isFileblob(b) {
		return nil, fmt.Errorf("%w: a fileblob bucket lets two writers of one key both win; open the folder with storage.OpenDir", ErrUnsafe)
	}
	s := &Bucket{bucket: b}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Prefix != "" {
		if err := CheckKey(s.opts.Prefix); err != nil {
			return nil, fmt.Errorf("prefix: %w", err)
		}
		s.prefix = s.opts.Prefix + "/"
	}
	if s.opts.MinBuffer <= 0 {
		s.opts.MinBuffer = defaultMinBuffer
	}
	return s, nil
}

// isFileblob recognises fileblob without importing it, also behind
// blob.PrefixedBucket: it alone shows the folder as an os.FileInfo. When that
// folder is gone it does not, but it still shows an *os.PathError and nothing
// else of the errors handed to it, where the other drivers show any error or none.
func isFileblob(b *blob.Bucket) bool {
	var info os.FileInfo
	if b.As(&info) {
		return true
	}
	var pathErr *os.PathError
	var other probeError
	return b.ErrorAs(&os.PathError{Err: os.ErrNotExist}, &pathErr) && !b.ErrorAs(probeError{}, &other)
}

type probeError struct{}

func (probeError) Error() string { return "not an error of any driver" }

// key returns the name in the bucket of a key of the store.
func (s *Bucket) key(key string) (string, error) {
	if err := CheckKey(key); err != nil {
		return "", err
	}
	if s.prefix == "" {
		return key, nil
	}
	return s.prefix + key, CheckKey(s.prefix + key) // together they may be too long
}

// begin does what every operation on one key begins with.
func (s *Bucket) begin(ctx context.Context, op, key string) (string, error) {
	name, err := s.key(key)
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil { // not every driver looks
		return "", fmt.Errorf("%s %s: %w", op, key, err)
	}
	return name, nil
}

// Open is Reader.Open.
func (s *Bucket) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if off < 0 {
		return nil, fmt.Errorf("open %s: negative offset %d", key, off)
	}
	name, err := s.begin(ctx, opOpen, key)
	if err != nil {
		return nil, err
	}
	r, err := s.bucket.NewRangeReader(ctx, name, off, n, nil)
	if err != nil {
		if s.endsBefore(ctx, name, off, n, err) {
			return io.NopCloser(eof{}), nil
		}
		return nil, s.fail(ctx, opOpen, key, err)
	}
	return &body{
		ctx: ctx, what: "read " + key, src: r, left: bytesIn(r.Size(), off, n),
		classify: func(err error) error { return s.fail(ctx, opRead, key, err) },
	}, nil
}

// endsBefore reports whether a range was refused because the object ends
// before its first byte: S3 and Google Cloud Storage answer 416 there. Asking
// for the size needs no knowledge of any SDK's way to say so.
func (s *Bucket) endsBefore(ctx context.Context, name string, off, n int64, err error) bool {
	if (off == 0 && n < 0) || sentinel(s.classify(err)) != nil {
		return false
	}
	attrs, err := s.bucket.Attributes(ctx, name)
	return err == nil && attrs.Size <= off
}

// Delete is Deleter.Delete.
func (s *Bucket) Delete(ctx context.Context, key string) error {
	name, err := s.begin(ctx, opDelete, key)
	if err != nil {
		return err
	}
	if err = s.fail(ctx, opDelete, key, s.bucket.Delete(ctx, name)); errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Get is Overwriter.Get. The tag is always "".
func (s *Bucket) Get(ctx context.Context, key string) (b []byte, tag string, err error) {
	r, err := s.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, "", err
	}
	defer r.Close() // everything was read; closing can lose nothing
	b, err = readSmall(r)
	if err != nil {
		return nil, "", fmt.Errorf("get %s: %w", key, err)
	}
	return b, "", nil
}

// Put is Overwriter.Put. It ignores ifMatch and returns the tag "".
func (s *Bucket) Put(ctx context.Context, key string, b []byte, _ string) (tag string, err error) {
	if len(b) > MaxSmall {
		return "", fmt.Errorf("put %s: %w", key, errTooLong)
	}
	name, err := s.begin(ctx, opPut, key)
	if err != nil {
		return "", err
	}
	return "", s.fail(ctx, opPut, key, s.upload(ctx, name, bytesSource(b), false))
}
