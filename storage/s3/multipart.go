package s3

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/pondworks/sluice/storage/internal/stream"
)

const (
	// parallelParts bounds the parts of one object that are on their way at
	// once. One more is being filled, so a Create holds three in memory.
	parallelParts = 2
	// cleanupTime bounds the request that removes the parts of a failed upload
	// after the caller's context has ended.
	cleanupTime = 10 * time.Second
)

// createLarge stores first and the rest of r, in parts as long as first. Parts
// are invisible; the last request publishes the object if the key is free.
func (s *store) createLarge(ctx context.Context, key string, first []byte, r io.Reader) error {
	id, err := s.beginUpload(ctx, key)
	if err != nil {
		return err
	}
	parts, err := s.sendParts(ctx, key, id, first, r)
	if err == nil {
		err = s.completeUpload(ctx, key, id, parts)
	}
	if err == nil {
		return nil
	}
	if abort := s.abortUpload(ctx, key, id); abort != nil {
		// The parts stay behind, unseen but paid for: the caller should know,
		// though the class of the error is that of the first cause.
		return fmt.Errorf("%w (and its parts could not be removed: %v)", err, abort)
	}
	return err
}

func (s *store) beginUpload(ctx context.Context, key string) (id string, err error) {
	in := &awss3.CreateMultipartUploadInput{
		Bucket: &s.bucket, Key: s.objectKey(key),
		ServerSideEncryption: s.sse, SSEKMSKeyId: optional(s.kmsKey),
	}
	if s.checksums {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
	}
	out, err := s.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return "", err
	}
	if aws.ToString(out.UploadId) == "" {
		return "", errors.New("the service gave no upload id")
	}
	return *out.UploadId, nil
}

// sendParts reads r in this goroutine only and sends parts in others, all of
// which have ended when it returns.
func (s *store) sendParts(ctx context.Context, key, id string, first []byte, r io.Reader) ([]types.CompletedPart, error) {
	var (
		mu    sync.Mutex // guards parts
		parts []types.CompletedPart
		free  = make(chan []byte, parallelParts+1)
	)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelParts) // Go waits for its turn: this is what bounds memory
	send := func(number int32, buf []byte) {
		group.Go(func() error {
			part, err := s.sendPart(ctx, key, id, number, buf)
			mu.Lock()
			defer mu.Unlock()
			parts = append(parts, part)
			free <- buf[:cap(buf)]
			return err
		})
	}
	send(1, first)
	err := eachPart(ctx, r, len(first), free, send)
	// A part that failed cancels ctx and thereby the reading: it is the cause.
	if failed := group.Wait(); failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, &stream.SourceError{Err: err}
	}
	slices.SortFunc(parts, func(a, b types.CompletedPart) int { return cmp.Compare(*a.PartNumber, *b.PartNumber) })
	return parts, nil
}

// eachPart cuts r into parts of size bytes, from number 2 on, in buffers taken
// from free where there is one.
func eachPart(ctx context.Context, r io.Reader, size int, free <-chan []byte, send func(int32, []byte)) error {
	for number := int32(2); ; number++ {
		var buf []byte
		select {
		case buf = <-free:
		default:
			buf = make([]byte, size)
		}
		n, err := fill(ctx, r, buf)
		if err != nil && !errors.Is(err, errSourceEnded) {
			return err
		}
		if n > 0 && number > maxParts {
			return fmt.Errorf("source yields more than %d parts of %d bytes", maxParts, size)
		}
		if n > 0 {
			send(number, buf[:n])
		}
		if err != nil {
			return nil
		}
	}
}

func (s *store) sendPart(ctx context.Context, key, id string, number int32, b []byte) (types.CompletedPart, error) {
	sum, err := s.checksum(bytes.NewReader(b))
	if err != nil {
		return types.CompletedPart{}, err
	}
	out, err := s.client.UploadPart(ctx, &awss3.UploadPartInput{
		Bucket: &s.bucket, Key: s.objectKey(key), UploadId: &id, PartNumber: &number,
		Body: bytes.NewReader(b), ChecksumCRC32: sum,
	}, s.patient)
	if err != nil {
		return types.CompletedPart{}, err
	}
	return types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: sum}, nil
}

func (s *store) completeUpload(ctx context.Context, key, id string, parts []types.CompletedPart) error {
	_, err := s.client.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: &s.bucket, Key: s.objectKey(key), UploadId: &id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
		IfNoneMatch:     aws.String("*"),
	}, s.patient)
	return err
}

// abortUpload removes the parts of an upload. It works on when the caller's
// context has ended: nobody else knows the id.
func (s *store) abortUpload(ctx context.Context, key, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	_, err := s.client.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{
		Bucket: &s.bucket, Key: s.objectKey(key), UploadId: &id,
	}, s.patient)
	if isCode(err, "NoSuchUpload") {
		return nil // gone already, or published after all
	}
	return err
}
