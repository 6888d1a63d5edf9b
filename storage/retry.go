package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/pondworks/sluice/storage/internal/stream"
)

// Retry returns s with retries. It is the one place of them: only errors that
// wrap ErrUnavailable are tried again.
//
//   - Open, and what it returns: a stream that breaks goes on at the byte where
//     it broke. The bytes come from the object as it then is, which matters only
//     for the object that Put replaces; that there are fewer than were promised is
//     an error.
//   - List goes on after the last key that it yielded.
//   - Create only if its reader is an io.Seeker, which is rewound to where it
//     stood, and not for an error of that reader, which may come from another
//     store with retries of its own. As Creator says, ErrExists may then mean an attempt of this very call.
//   - Delete and Get. Put is not: it may not be idempotent, and it is for a hint.
//
// The result has the optional abilities that s has.
func Retry(s Store, opts *RetryOptions) Store {
	o := opts.withDefaults()
	d, _ := s.(Deleter)
	if d != nil {
		d = retryDeleter{d, o}
	}
	w, _ := s.(Overwriter)
	if w != nil {
		w = retryOverwriter{w, o}
	}
	return Compose(retryStore{retryReader{s, o}, s}, d, w)
}

// RetryReader is [Retry] for whoever only reads.
func RetryReader(r Reader, opts *RetryOptions) Reader {
	return retryReader{r, opts.withDefaults()}
}

// budget counts the attempts of one operation.
type budget struct {
	opts RetryOptions
	used int // failures since the last progress
}

func (b *budget) progress() { b.used = 0 }

// again waits and returns nil if the operation that failed with err is to be
// tried again, else the error to return.
func (b *budget) again(ctx context.Context, err error) error {
	own := (*stream.SourceError)(nil)
	if !errors.Is(err, ErrUnavailable) || errors.As(err, &own) {
		return err
	}
	b.used++
	if b.used >= b.opts.Attempts {
		if b.used == 1 {
			return err
		}
		return fmt.Errorf("%d attempts: %w", b.used, err)
	}
	if ended := b.opts.Sleep(ctx, b.delay()); ended != nil {
		return fmt.Errorf("%w, while waiting to try again after: %v", ended, err)
	}
	return nil
}

func (b *budget) delay() time.Duration {
	d := b.opts.Base
	for range b.used - 1 {
		d = min(2*d, b.opts.Max)
	}
	d = min(d, b.opts.Max)
	return d/2 + time.Duration(b.opts.Random()*float64(d/2))
}

// run calls f until it succeeds or is not to be tried again.
func (o RetryOptions) run(ctx context.Context, f func() error) error {
	b := budget{opts: o}
	for {
		err := f()
		if err == nil {
			return nil
		}
		if err = b.again(ctx, err); err != nil {
			return err
		}
	}
}

type retryStore struct {
	retryReader
	creator Creator
}

func (s retryStore) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	seeker, ok := r.(io.Seeker)
	if !ok {
		return s.creator.Create(ctx, key, r, size)
	}
	start, err := seeker.Seek(0, io.SeekCurrent)
	if err != nil {
		// A pipe as an *os.File has the method but cannot do it.
		return s.creator.Create(ctx, key, r, size)
	}
	return s.opts.run(ctx, func() error {
		if _, err := seeker.Seek(start, io.SeekStart); err != nil {
			return fmt.Errorf("create %s: rewind the source: %w", key, err)
		}
		return s.creator.Create(ctx, key, r, size)
	})
}

func (s retryReader) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		b := budget{opts: s.opts}
		last := after
		for {
			err := s.listOnce(ctx, prefix, &last, &b, yield)
			if err == nil {
				return
			}
			if err = b.again(ctx, err); err != nil {
				yield(Info{}, err)
				return
			}
		}
	}
}

// listOnce yields until the listing ends, breaks (the error), or the caller has
// enough. It begins after last and moves it along.
func (s retryReader) listOnce(ctx context.Context, prefix string, last *string, b *budget, yield func(Info, error) bool) error {
	for info, err := range s.reader.List(ctx, prefix, *last) {
		if err != nil {
			return err
		}
		b.progress()
		*last = info.Key
		if !yield(info, nil) {
			return nil
		}
	}
	return nil
}

type retryDeleter struct {
	Deleter
	opts RetryOptions
}

func (d retryDeleter) Delete(ctx context.Context, key string) error {
	return d.opts.run(ctx, func() error { return d.Deleter.Delete(ctx, key) })
}

type retryOverwriter struct {
	Overwriter
	opts RetryOptions
}

func (w retryOverwriter) Get(ctx context.Context, key string) (b []byte, tag string, err error) {
	err = w.opts.run(ctx, func() (err error) {
		b, tag, err = w.Overwriter.Get(ctx, key)
		return err
	})
	return b, tag, err
}
