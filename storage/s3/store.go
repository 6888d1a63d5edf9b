package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/pondworks/sluice/storage"
	"github.com/pondworks/sluice/storage/bucket"
	"github.com/pondworks/sluice/storage/internal/stream"
)

// bucketStore is what reads and lists: the store that every gocloud bucket has.
// Only Open and List of it are used.
type bucketStore = *bucket.Store

// store is one bucket. It writes with the client itself instead of gocloud's
// writer, whose transfer manager prints every lost race to stderr, leaves the
// parts of a cancelled upload behind, and cannot be asked for an ETag.
type store struct {
	bucketStore
	client         *awss3.Client
	bucket, prefix string
	sse            types.ServerSideEncryption
	kmsKey         string
	checksums      bool
	part           int64                // minPart; tests move less
	patient        func(*awss3.Options) // for the requests of an upload that has begun

	// probing holds a token while probeMultipart runs and guards multipart.
	probing   chan struct{}
	multipart verdict
}

var (
	_ storage.Store      = (*store)(nil)
	_ storage.Deleter    = (*store)(nil)
	_ storage.Overwriter = (*store)(nil)
)

// Create sends an object below one part's size in one request, any other as a
// multipart upload. Either is conditional: the service refuses it if the key
// is taken at the moment of publication (Amazon S3 User Guide, "Conditional
// writes").
func (s *store) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := s.check(key); err != nil {
		return err
	}
	part := partSize(size, s.part)
	if size >= 0 && size < part { // else it is read, and Resident not asked
		if b := resident(r); b != nil {
			return s.createResident(ctx, key, b, size)
		}
	}
	source := &exactReader{r: r, want: size}
	first, err := readFirst(ctx, source, size, part)
	if errors.Is(err, errSourceEnded) {
		_, err = s.put(ctx, key, bytes.NewReader(first), "", "*")
		return s.fail(ctx, "create", key, err)
	}
	if err != nil {
		return s.fail(ctx, "create", key, &stream.SourceError{Err: err})
	}
	if err := s.probeMultipart(ctx); err != nil {
		return fmt.Errorf("create %s: %w", key, err)
	}
	return s.fail(ctx, "create", key, s.createLarge(ctx, key, first, source))
}

func (s *store) createResident(ctx context.Context, key string, b *io.SectionReader, size int64) error {
	if b.Size() != size {
		return fmt.Errorf("create %s: %w: %d instead of %d bytes", key, errSize, b.Size(), size)
	}
	_, err := s.put(ctx, key, b, "", "*")
	return s.fail(ctx, "create", key, err)
}

// resident returns the bytes of r if they are in memory.
func resident(r io.Reader) *io.SectionReader {
	if in, ok := r.(storage.Resident); ok {
		return in.Resident()
	}
	return nil
}

// Get reads the object and its ETag in one request.
func (s *store) Get(ctx context.Context, key string) ([]byte, string, error) {
	if err := s.check(key); err != nil {
		return nil, "", err
	}
	out, err := s.client.GetObject(ctx, &awss3.GetObjectInput{Bucket: &s.bucket, Key: s.objectKey(key)})
	if err != nil {
		return nil, "", s.fail(ctx, "get", key, err)
	}
	defer out.Body.Close()
	b, err := io.ReadAll(io.LimitReader(out.Body, storage.MaxSmall+1))
	if err != nil {
		return nil, "", s.fail(ctx, "get", key, broken{err})
	}
	if len(b) > storage.MaxSmall {
		return nil, "", fmt.Errorf("get %s: more than %d bytes", key, storage.MaxSmall)
	}
	return b, aws.ToString(out.ETag), nil
}

// Put replaces the object, with ifMatch only the one that has this ETag.
func (s *store) Put(ctx context.Context, key string, b []byte, ifMatch string) (string, error) {
	if err := s.check(key); err != nil {
		return "", err
	}
	tag, err := s.put(ctx, key, bytes.NewReader(b), ifMatch, "")
	if err == nil {
		return tag, nil
	}
	err = s.fail(ctx, "put", key, err)
	// A condition that fails speaks of the object that was expected, whether
	// another is there (412) or none (404).
	if ifMatch != "" && (errors.Is(err, storage.ErrExists) || errors.Is(err, storage.ErrNotFound)) {
		return "", fmt.Errorf("put %s: %w", key, storage.ErrChanged)
	}
	return "", err
}

// Delete is one request; the service does not mind a key that is free.
func (s *store) Delete(ctx context.Context, key string) error {
	if err := s.check(key); err != nil {
		return err
	}
	_, err := s.client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &s.bucket, Key: s.objectKey(key)})
	if err = s.fail(ctx, "delete", key, err); errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// put sends all of body in one request under the given conditions ("" for none).
func (s *store) put(ctx context.Context, key string, body io.ReadSeeker, ifMatch, ifNoneMatch string) (etag string, err error) {
	sum, err := s.checksum(body)
	if err == nil {
		_, err = body.Seek(0, io.SeekStart)
	}
	if err != nil {
		return "", err
	}
	in := &awss3.PutObjectInput{
		Bucket: &s.bucket, Key: s.objectKey(key), Body: body,
		IfMatch: optional(ifMatch), IfNoneMatch: optional(ifNoneMatch),
		ServerSideEncryption: s.sse, SSEKMSKeyId: optional(s.kmsKey),
		ChecksumCRC32: sum,
	}
	out, err := s.client.PutObject(ctx, in)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.ETag), nil
}

// check refuses bad keys, and good ones that are too long behind the prefix.
func (s *store) check(key string) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	return storage.CheckKey(*s.objectKey(key))
}

// objectKey is the whole key of an object.
func (s *store) objectKey(key string) *string {
	if s.prefix != "" {
		key = s.prefix + "/" + key
	}
	return &key
}

// checksum lets the service refuse bytes that changed on their way. It reads r to
// its end.
func (s *store) checksum(r io.Reader) (*string, error) {
	if !s.checksums {
		return nil, nil
	}
	h := crc32.NewIEEE()
	if _, err := io.Copy(h, r); err != nil {
		return nil, err
	}
	return aws.String(base64.StdEncoding.EncodeToString(h.Sum(nil))), nil
}

func optional(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}

// startAfter lets the service skip what the listing does not want.
func startAfter(after string, as func(any) bool) error {
	var in *awss3.ListObjectsV2Input
	if !as(&in) {
		return errors.New("s3: gocloud does not show its list request")
	}
	in.StartAfter = &after
	return nil
}
