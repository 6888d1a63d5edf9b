package storage

import "errors"

// classes are the sentinels of this package that an error of a Store can wrap.
// It is a function's own list, so that nobody can change it.
func classes() []error {
	return []error{ErrNotFound, ErrExists, ErrChanged, ErrDenied, ErrNoBucket, ErrUnavailable, ErrUnsafe, ErrInvalidKey}
}

// Class returns the sentinel of this package that err wraps, from [ErrNotFound]
// to [ErrInvalidKey], or nil if it wraps none: nil itself, the error of a
// context, of a caller's reader, or one that nobody could classify.
func Class(err error) error {
	for _, class := range classes() {
		if errors.Is(err, class) {
			return class
		}
	}
	return nil
}

// The operations, as errors name them.
const (
	opOpen   = "open"
	opRead   = "read"
	opList   = "list"
	opCreate = "create"
	opGet    = "get"
	opPut    = "put"
	opDelete = "delete"
)
