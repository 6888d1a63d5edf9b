// Package storage is where sluice's objects live: a flat space of keys and
// bytes, in a cloud bucket, a folder or memory. It knows nothing of bundles or
// Delta tables.
//
// Most programs call [Open] with a URL and hand the Store to remote.New. The
// drivers of the clouds are packages of their own (storage/s3, storage/gcs,
// storage/azure), so that a program links only the SDKs that it uses, and so is
// storage/bucket, which takes any bucket of gocloud.dev. Whoever implements or
// wraps a Store runs storagetest.Run against it.
package storage

import (
	"context"
	"errors"
	"io"
	"iter"
	"time"
)

// Errors by what the caller should do next. An error of a Store wraps one of them
// where that is known, or is the error of the context or of the caller's own reader.
// What wraps none, such as a full disk, is for a person to look into; see [Class].
var (
	// ErrNotFound: there is no object under this key.
	ErrNotFound = errors.New("object not found")
	// ErrExists: the key is taken; what it holds was not touched.
	ErrExists = errors.New("object exists already")
	// ErrChanged: the object is not the one that Put was told to replace.
	ErrChanged = errors.New("object was changed or removed meanwhile")
	// ErrDenied: the service refuses these credentials this operation. Never
	// retried, and never to be read as "there is nothing".
	ErrDenied = errors.New("access denied")
	// ErrNoBucket: the bucket or container itself does not exist.
	ErrNoBucket = errors.New("no such bucket")
	// ErrUnavailable: the service cannot be reached or is overloaded; the same
	// call may succeed later. The only class that is retried.
	ErrUnavailable = errors.New("storage unavailable")
	// ErrUnsafe: the service ignores the condition of a create-if-absent, so
	// two writers could both believe that they won. Such a service is refused.
	ErrUnsafe = errors.New("storage ignores create-if-absent")
	// ErrInvalidKey: the key breaks the rules of [CheckKey].
	ErrInvalidKey = errors.New("invalid key")
)

// Info describes one object of a listing.
type Info struct {
	Key     string
	Size    int64     // bytes
	ModTime time.Time // when it was created, by the clock of the service
}

// Reader is all that pull and init need: credentials that may read and list
// suffice. Its methods may be called by many goroutines at once.
type Reader interface {
	// Open streams n bytes of the object from offset off, or everything from
	// off if n < 0. A range that reaches past the end ends where the object
	// does; a range that begins at or past the end yields no bytes. The caller
	// closes the reader; a stream that breaks gives an error from Read, never a
	// silent end. Wraps ErrNotFound if the key is free.
	Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)
	// List yields the objects whose keys begin with prefix and sort after
	// the key after (exclusive; "" for all), in byte order of their keys. After
	// an error it ends. It sees every object whose Create returned before it
	// began.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]
}

// Creator writes each key once.
type Creator interface {
	// Create stores what r yields under key, if the key is free: all of it
	// becomes visible and durable at once, or nothing does. size is the exact
	// number of bytes or negative if unknown; a reader that yields another
	// number is an error and leaves nothing. Of several concurrent creators of
	// one key exactly one wins. Wraps ErrExists if the key is taken, also when
	// an earlier attempt of this very call took it and its reply was lost: the
	// caller settles that by comparing content.
	//
	// When ctx ends or r fails, Create returns promptly with that error and
	// nothing is visible. It may read r in another goroutine but never after
	// it returned.
	Create(ctx context.Context, key string, r io.Reader, size int64) error
}

// Resident is the ability of a reader given to Create to hand out its bytes, which
// are all in memory: a store that may have to send them again needs no copy.
type Resident interface {
	// Resident returns what the reader yields from its start, or nil if that is
	// not in memory. It never changes, and may be read by several, as often as need
	// be, also after Create returned. Whoever got it sends it, and does not read
	// the reader as well: it counts as sent.
	Resident() *io.SectionReader
}

// Store is what push needs: create, read, list. Nothing is ever overwritten or
// deleted through it.
type Store interface {
	Reader
	Creator
}

// Deleter is an optional ability of a Store: retention and repair ask for it.
type Deleter interface {
	// Delete removes the object; a key that is free already is no error.
	Delete(ctx context.Context, key string) error
}

// Overwriter is an optional ability of a Store, wanted for one small object,
// the head hint.
type Overwriter interface {
	// Get reads a whole object of at most MaxSmall bytes and a tag that names
	// this content to Put; "" where the service has no such thing.
	Get(ctx context.Context, key string) (b []byte, tag string, err error)
	// Put creates or replaces the object. With ifMatch it replaces only the
	// content that this tag names and else wraps ErrChanged; where the service
	// cannot, ifMatch is ignored and the returned tag is "".
	Put(ctx context.Context, key string, b []byte, ifMatch string) (tag string, err error)
}

// MaxSmall bounds, in bytes, what Overwriter.Get reads into memory.
const MaxSmall = 1 << 20
