package gcs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	gcstorage "cloud.google.com/go/storage"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/bucket"
)

// store is one bucket. Generations, which the portable API of gocloud does not
// have, come from the client itself.
type store struct {
	*bucket.Store
	objects *gcstorage.BucketHandle
	prefix  string
	called  string // the bucket, in errors
}

var (
	_ storage.Store      = (*store)(nil)
	_ storage.Deleter    = (*store)(nil)
	_ storage.Overwriter = (*store)(nil)
)

// Open is bucket.Store's, on one stream.
func (s *store) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	return s.Store.Open(single(ctx), key, off, n)
}

// Get reads the object and its generation in one request.
func (s *store) Get(ctx context.Context, key string) ([]byte, string, error) {
	if err := s.check(key); err != nil {
		return nil, "", err
	}
	r, err := s.objects.Object(s.name(key)).NewReader(single(ctx))
	if err != nil {
		return nil, "", s.fail(ctx, "get", key, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, storage.MaxSmall+1))
	if err != nil {
		return nil, "", s.fail(ctx, "get", key, broken{err})
	}
	if len(b) > storage.MaxSmall {
		return nil, "", fmt.Errorf("get %s: more than %d bytes", key, storage.MaxSmall)
	}
	return b, strconv.FormatInt(r.Attrs.Generation, 10), nil
}

// Put replaces the object, with ifMatch only this generation of it.
func (s *store) Put(ctx context.Context, key string, b []byte, ifMatch string) (string, error) {
	if err := s.check(key); err != nil {
		return "", err
	}
	object := s.objects.Object(s.name(key))
	if ifMatch != "" {
		generation, err := strconv.ParseInt(ifMatch, 10, 64)
		if err != nil || generation <= 0 {
			return "", fmt.Errorf("put %s: the tag is none of this service", key)
		}
		object = object.If(gcstorage.Conditions{GenerationMatch: generation})
	}
	generation, err := write(ctx, object, b)
	if err == nil {
		return strconv.FormatInt(generation, 10), nil
	}
	err = s.fail(ctx, "put", key, err)
	// A condition that fails speaks of the object that was expected, whether
	// another is there or none.
	if ifMatch != "" && (errors.Is(err, storage.ErrExists) || errors.Is(err, storage.ErrNotFound)) {
		return "", fmt.Errorf("put %s: %w", key, storage.ErrChanged)
	}
	return "", err
}

// write sends b in one request.
func write(ctx context.Context, object *gcstorage.ObjectHandle, b []byte) (generation int64, err error) {
	// Close publishes; where Write failed only the end of ctx keeps it from that.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w := object.NewWriter(ctx)
	w.ChunkSize = 0 // no upload session and no buffer for it
	if _, err := w.Write(b); err != nil {
		cancel()
		return 0, errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	if err := checkStored(w); err != nil {
		return 0, err
	}
	return w.Attrs().Generation, nil
}

// check refuses bad keys, and good ones that are too long behind the prefix.
func (s *store) check(key string) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	return storage.CheckKey(s.name(key))
}

// name is the whole key of an object.
func (s *store) name(key string) string {
	if s.prefix == "" {
		return key
	}
	return s.prefix + "/" + key
}
