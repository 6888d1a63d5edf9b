package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"gocloud.dev/blob"

	"github.com/pondworks/sluice/storage"
)

// errOrder: a listing that pull and push would misread.
var errOrder = errors.New("the service does not list keys in byte order")

// List is Reader.List. What is in the bucket under a name that is no key, such
// as the markers "folder/" of cloud consoles, is no object of the store and not
// listed.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		it := s.bucket.List(s.listOptions(prefix, after))
		last, first := "", true
		for {
			info, err := s.next(ctx, it)
			if err == io.EOF {
				return
			}
			if err == nil && info.Key <= last && !first {
				err = fmt.Errorf("%w: %q follows %q", errOrder, info.Key, last)
			}
			if err != nil {
				yield(storage.Info{}, fmt.Errorf("list %q: %w", prefix, err))
				return
			}
			last, first = info.Key, false
			if info.Key > after && storage.CheckKey(info.Key) == nil && !yield(info, nil) {
				return
			}
		}
	}
}

func (s *Store) listOptions(prefix, after string) *blob.ListOptions {
	opts := &blob.ListOptions{Prefix: s.prefix + prefix}
	if s.opts.StartAfter != nil && after != "" {
		opts.BeforeList = func(as func(any) bool) error {
			return s.opts.StartAfter(s.prefix+after, as)
		}
	}
	return opts
}

func (s *Store) next(ctx context.Context, it *blob.ListIterator) (storage.Info, error) {
	if err := ctx.Err(); err != nil { // a page in memory does not look
		return storage.Info{}, err
	}
	o, err := nextObject(ctx, it)
	if err == io.EOF {
		return storage.Info{}, err
	}
	if err != nil {
		return storage.Info{}, s.classified(ctx, opList, err)
	}
	return storage.Info{Key: o.Key[min(len(s.prefix), len(o.Key)):], Size: o.Size, ModTime: o.ModTime}, nil
}

// errPanic: an answer that a driver does not survive. Those of gocloud trust that each
// object has a time and each page its parts; what answered need not be the service.
var errPanic = errors.New("the driver cannot read the answer, and panics")

func nextObject(ctx context.Context, it *blob.ListIterator) (o *blob.ListObject, err error) {
	defer func() {
		if p := recover(); p != nil {
			o, err = nil, fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	return it.Next(ctx)
}
