package azure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/bucket"
)

// store is one container. ETags, which the portable API of gocloud does not
// return, come from the client itself; everything else goes through bucket.Store.
type store struct {
	*bucket.Store
	container *container.Client
	prefix    string
	called    string // the container, in errors
}

var (
	_ storage.Store      = (*store)(nil)
	_ storage.Deleter    = (*store)(nil)
	_ storage.Overwriter = (*store)(nil)
)

// checkKey refuses what the package comment says.
func checkKey(key string) error {
	if strings.ContainsAny(key, `"#%?`) {
		return fmt.Errorf("%w %.80q: it contains one of the characters \" # %% ?, which Azure does not keep", storage.ErrInvalidKey, key)
	}
	return storage.CheckKey(key)
}

// Create is Creator.Create.
func (s *store) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return oneLine(s.Store.Create(ctx, key, r, size))
}

// Open is Reader.Open.
func (s *store) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	r, err := s.Store.Open(ctx, key, off, n)
	return r, oneLine(err)
}

// List is Reader.List.
func (s *store) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		for info, err := range s.Store.List(ctx, prefix, after) {
			if !yield(info, oneLine(err)) {
				return
			}
		}
	}
}

// Delete is Deleter.Delete.
func (s *store) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return oneLine(s.Store.Delete(ctx, key))
}

// oneLine replaces, in the text of err, the dozen lines that the SDK writes for
// a reply. For a bad signature they repeat the signature and what was signed.
func oneLine(err error) error {
	var reply *azcore.ResponseError
	if !errors.As(err, &reply) {
		return err
	}
	short := fmt.Sprintf("HTTP status %d %s", reply.StatusCode, reply.ErrorCode)
	if reply.RawResponse != nil {
		short += " (request " + reply.RawResponse.Header.Get("x-ms-request-id") + ")"
	}
	return &shortened{err: err, text: strings.ReplaceAll(err.Error(), reply.Error(), short)}
}

// shortened is an error with another text.
type shortened struct {
	err  error
	text string
}

func (s *shortened) Error() string { return s.text }
func (s *shortened) Unwrap() error { return s.err }
