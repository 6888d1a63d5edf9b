// Package bucket is a storage.Store over any bucket of gocloud.dev. The drivers
// of this module are built on it; a host with a *blob.Bucket of its own passes it
// to [New]. It is a package of its own because gocloud.dev links much that who
// uses a folder or memory alone does not need.
package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"gocloud.dev/blob"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/internal/stream"
)

// Options describes what the portable API of gocloud.dev does not tell
// of a bucket. nil and the zero value suit a memory bucket; for a cloud's
// bucket, the driver packages of this module fill it in.
type Options struct {
	// Prefix is put before every key, with a slash between; "" for none.
	Prefix string
	// Name is what errors call the bucket that is missing or closed to us, such as
	// `bucket "b"`; "" for nothing.
	Name string
	// Classify maps an error of the driver's SDK to one of the
	// sentinels of package storage; nil means that it cannot tell, and then the default decides
	// by error codes, HTTP status and network errors. gocloud's own code is not
	// enough: among others, its gcs driver reports a denied request as "not found".
	Classify func(error) error
	// KnowsNoBucket says that Classify tells a bucket that is missing from an object that is. Else
	// storage.ErrNotFound of what asks for no object, such as a listing, stands for
	// storage.ErrNoBucket.
	KnowsNoBucket bool
	// StartAfter makes the driver's list request begin after the (whole) key
	// after, or at it. as gives access to that request, as in
	// blob.ListOptions.BeforeList. nil: what comes before is read and skipped.
	StartAfter func(after string, as func(any) bool) error
	// Stored returns what says, after an upload without an error, whether the answer
	// was one of the service: status 200 alone is also what a proxy gives its own
	// pages. as gives access to the driver's writer, as in
	// blob.WriterOptions.BeforeWrite. nil: it was.
	Stored func(as func(any) bool) (check func() error, err error)
	// MinBuffer is the least buffer in bytes that the driver takes for an
	// upload. Default 256 KiB.
	MinBuffer int
}

// Store is a storage.Store over a bucket of gocloud.dev. It is also a Deleter and
// an Overwriter; the latter cannot tell contents apart and so ignores ifMatch.
// Whether its Create is safe depends on the service: see [storage.Probe].
type Store struct {
	bucket *blob.Bucket
	prefix string // "" or ending in a slash
	opts   Options
}

var (
	_ storage.Store      = (*Store)(nil)
	_ storage.Deleter    = (*Store)(nil)
	_ storage.Overwriter = (*Store)(nil)
)

// New returns a Store over b, which stays the caller's to close. opts may
// be nil. A bucket of fileblob is refused with an error wrapping
// storage.ErrUnsafe, since it creates by looking first and renaming then, so that
// two writers can both win, and does not fsync: use [storage.OpenDir] for a folder.
func New(b *blob.Bucket, opts *Options) (*Store, error) {
	if isFileblob(b) {
		return nil, fmt.Errorf("%w: a fileblob bucket lets two writers of one key both win; open the folder with storage.OpenDir", storage.ErrUnsafe)
	}
	s := &Store{bucket: b}
	if opts != nil {
		s.opts = *opts
	}
	if s.opts.Prefix != "" {
		if err := storage.CheckKey(s.opts.Prefix); err != nil {
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
func (s *Store) key(key string) (string, error) {
	if err := storage.CheckKey(key); err != nil {
		return "", err
	}
	if s.prefix == "" {
		return key, nil
	}
	return s.prefix + key, storage.CheckKey(s.prefix + key) // together they may be too long
}

// begin does what every operation on one key begins with.
func (s *Store) begin(ctx context.Context, op, key string) (string, error) {
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
func (s *Store) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
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
			return http.NoBody, nil
		}
		return nil, s.fail(ctx, opOpen, key, err)
	}
	return &stream.Body{
		Ctx: ctx, Src: r, Left: stream.BytesIn(r.Size(), off, n),
		Fail: func(err error) error { return s.fail(ctx, opRead, key, err) },
	}, nil
}

// endsBefore reports whether a range was refused because the object ends
// before its first byte: S3 and Google Cloud Storage answer 416 there. Asking
// for the size needs no knowledge of any SDK's way to say so.
func (s *Store) endsBefore(ctx context.Context, name string, off, n int64, err error) bool {
	if (off == 0 && n < 0) || s.classify(err) != nil {
		return false
	}
	attrs, err := s.bucket.Attributes(ctx, name)
	return err == nil && attrs.Size <= off
}

// Delete is Deleter.Delete.
func (s *Store) Delete(ctx context.Context, key string) error {
	name, err := s.begin(ctx, opDelete, key)
	if err != nil {
		return err
	}
	if err = s.fail(ctx, opDelete, key, s.bucket.Delete(ctx, name)); errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// Get is Overwriter.Get. The tag is always "".
func (s *Store) Get(ctx context.Context, key string) (b []byte, tag string, err error) {
	r, err := s.Open(ctx, key, 0, -1)
	if err != nil {
		return nil, "", err
	}
	defer r.Close() // everything was read; closing can lose nothing
	b, err = stream.ReadSmall(r, storage.MaxSmall)
	if err != nil {
		return nil, "", fmt.Errorf("get %s: %w", key, err)
	}
	return b, "", nil
}

// Put is Overwriter.Put. It ignores ifMatch and returns the tag "".
func (s *Store) Put(ctx context.Context, key string, b []byte, _ string) (tag string, err error) {
	if len(b) > storage.MaxSmall {
		return "", fmt.Errorf("put %s: %w", key, stream.ErrTooLong)
	}
	name, err := s.begin(ctx, opPut, key)
	if err != nil {
		return "", err
	}
	return "", s.fail(ctx, opPut, key, s.upload(ctx, name, stream.Bytes(b), int64(len(b)), false))
}
