package storagetest

import (
	"bytes"
	"context"
	"io"

	"github.com/pondworks/sluice/storage"
)

type faultOverwriter struct {
	over storage.Overwriter
	f    *Faults
}

func (o faultOverwriter) Get(ctx context.Context, key string) ([]byte, string, error) {
	kind := o.f.begin(down)
	if kind != "" && kind != FaultFlip {
		return nil, "", o.f.err(kind, "get", key)
	}
	b, tag, err := o.over.Get(ctx, key)
	if err == nil && kind == FaultFlip {
		b = bytes.Clone(b)
		o.f.flip(b)
	}
	return b, tag, err
}

func (o faultOverwriter) Put(ctx context.Context, key string, b []byte, ifMatch string) (string, error) {
	switch kind := o.f.begin(up); kind {
	case FaultBefore, FaultMiddle, FaultThrottle:
		return "", o.f.err(kind, "put", key)
	case FaultFlip:
		b = bytes.Clone(b)
		o.f.flip(b)
	case FaultAfter:
		if _, err := o.over.Put(ctx, key, b, ifMatch); err != nil {
			return "", err
		}
		return "", o.f.err(kind, "put", key)
	}
	return o.over.Put(ctx, key, b, ifMatch)
}

// cutReader breaks in the middle of its first Read.
type cutReader struct {
	r    io.Reader
	err  error
	read bool
}

func (c *cutReader) Read(p []byte) (int, error) {
	if c.read || len(p) == 0 {
		return 0, c.err
	}
	c.read = true
	n, err := c.r.Read(p)
	if err != nil && err != io.EOF {
		return n, err
	}
	return n / 2, c.err
}

// flipReader changes one bit of the first bytes that it reads.
type flipReader struct {
	r       io.Reader
	f       *Faults
	flipped bool
}

func (f *flipReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if !f.flipped {
		f.flipped = f.f.flip(p[:n])
	}
	return n, err
}
