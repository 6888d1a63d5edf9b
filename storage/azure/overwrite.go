package azure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/pondworks/sluice/storage"
)

// Get reads the object and its ETag in one request.
func (s *store) Get(ctx context.Context, key string) ([]byte, string, error) {
	if err := s.check(key); err != nil {
		return nil, "", err
	}
	reply, err := s.container.NewBlockBlobClient(s.name(key)).DownloadStream(ctx, nil)
	if err != nil {
		return nil, "", s.fail(ctx, "get", key, err)
	}
	defer reply.Body.Close()
	b, err := io.ReadAll(io.LimitReader(reply.Body, storage.MaxSmall+1))
	if err != nil {
		return nil, "", s.fail(ctx, "get", key, broken{err})
	}
	if len(b) > storage.MaxSmall {
		return nil, "", fmt.Errorf("get %s: more than %d bytes", key, storage.MaxSmall)
	}
	return b, tag(reply.ETag), nil
}

// Put replaces the object, with ifMatch only the one that has this ETag.
func (s *store) Put(ctx context.Context, key string, b []byte, ifMatch string) (string, error) {
	if err := s.check(key); err != nil {
		return "", err
	}
	options := &blockblob.UploadOptions{}
	if ifMatch != "" {
		etag := azcore.ETag(ifMatch)
		options.AccessConditions = &blob.AccessConditions{
			ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &etag},
		}
	}
	reply, err := s.container.NewBlockBlobClient(s.name(key)).Upload(ctx, streaming.NopCloser(bytes.NewReader(b)), options)
	if err == nil {
		return tag(reply.ETag), nil
	}
	err = s.fail(ctx, "put", key, err)
	// A condition that fails speaks of the object that was expected, whether
	// another is there or none.
	if ifMatch != "" && (errors.Is(err, storage.ErrExists) || errors.Is(err, storage.ErrNotFound)) {
		return "", fmt.Errorf("put %s: %w", key, storage.ErrChanged)
	}
	return "", err
}

func tag(etag *azcore.ETag) string {
	if etag == nil {
		return ""
	}
	return string(*etag)
}

// check refuses bad keys, and good ones that are too long behind the prefix.
func (s *store) check(key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	return checkKey(s.name(key))
}

// name is the whole key of an object.
func (s *store) name(key string) string {
	if s.prefix == "" {
		return key
	}
	return s.prefix + "/" + key
}
