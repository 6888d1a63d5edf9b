package storage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pondworks/sluice/storage/internal/stream"
)

// memory is the store of NewMemory.
type memory struct {
	mu      sync.RWMutex
	objects map[string]memoryObject // guarded by mu
}

// memoryObject is never changed, only replaced: whoever reads it needs no lock.
type memoryObject struct {
	content []byte
	created time.Time
}

var (
	_ Store      = (*memory)(nil)
	_ Deleter    = (*memory)(nil)
	_ Overwriter = (*memory)(nil)
)

// NewMemory returns a new, empty store in memory, for tests and trials. It is
// also a Deleter and an Overwriter, whose tags are the sha256 of the content.
// What it holds is gone with the process.
func NewMemory() Store { return &memory{objects: map[string]memoryObject{}} }

// Open is Reader.Open. A stream shows the object as it was when Open returned.
func (m *memory) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if off < 0 {
		return nil, fmt.Errorf("open %s: negative offset %d", key, off)
	}
	o, err := m.object(ctx, opOpen, key)
	if err != nil {
		return nil, err
	}
	size := int64(len(o.content))
	off = min(off, size)
	left := stream.BytesIn(size, off, n)
	return &stream.Body{
		Ctx: ctx, Left: left, Src: io.NopCloser(bytes.NewReader(o.content[off : off+left])),
		Fail: func(err error) error { return fmt.Errorf("%s %s: %w", opRead, key, err) },
	}, nil
}

// Create is Creator.Create. If r blocks, it returns only when that Read does.
func (m *memory) Create(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := begin(ctx, opCreate, key); err != nil {
		return err
	}
	src := stream.NewSource(ctx, r, size)
	b, err := io.ReadAll(src)
	if err != nil {
		return fmt.Errorf("%s %s: %w", opCreate, key, &stream.SourceError{Err: err})
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.objects[key]; taken {
		return fmt.Errorf("%s %s: %w", opCreate, key, ErrExists)
	}
	m.objects[key] = memoryObject{b, time.Now()}
	return nil
}

// Delete is Deleter.Delete.
func (m *memory) Delete(ctx context.Context, key string) error {
	if err := begin(ctx, opDelete, key); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

// Get is Overwriter.Get.
func (m *memory) Get(ctx context.Context, key string) (b []byte, tag string, err error) {
	o, err := m.object(ctx, opGet, key)
	if err == nil && len(o.content) > MaxSmall {
		err = fmt.Errorf("%s %s: %w", opGet, key, stream.ErrTooLong)
	}
	if err != nil {
		return nil, "", err
	}
	return bytes.Clone(o.content), contentTag(o.content), nil
}

// Put is Overwriter.Put. Comparing and replacing are one step.
func (m *memory) Put(ctx context.Context, key string, b []byte, ifMatch string) (tag string, err error) {
	if err := begin(ctx, opPut, key); err != nil {
		return "", err
	}
	if len(b) > MaxSmall {
		return "", fmt.Errorf("%s %s: %w", opPut, key, stream.ErrTooLong)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.objects[key]
	if ifMatch != "" && (!ok || contentTag(old.content) != ifMatch) {
		return "", fmt.Errorf("%s %s: %w", opPut, key, ErrChanged)
	}
	m.objects[key] = memoryObject{bytes.Clone(b), time.Now()}
	return contentTag(b), nil
}

// object returns what is under a key.
func (m *memory) object(ctx context.Context, op, key string) (memoryObject, error) {
	if err := begin(ctx, op, key); err != nil {
		return memoryObject{}, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	o, ok := m.objects[key]
	if !ok {
		return memoryObject{}, fmt.Errorf("%s %s: %w", op, key, ErrNotFound)
	}
	return o, nil
}

// begin does what every operation on one key begins with: memory would neither
// mind a bad key nor notice the end of ctx.
func begin(ctx context.Context, op, key string) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s %s: %w", op, key, err)
	}
	return nil
}
