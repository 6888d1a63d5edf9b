package bundle

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
)

// checked ends with io.EOF only after left bytes of the digest want.
type checked struct {
	r     io.Reader
	left  int64
	hash  hash.Hash
	want  Digest
	fault func(err error) error // gives errors of r their class
	err   error                 // what it ended with, for good
}

func (c *checked) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.left == 0 {
		c.err = c.verdict()
		return 0, c.err
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.hash.Write(p[:n])
	c.left -= int64(n)
	switch {
	case err == io.EOF && c.left > 0:
		c.err = c.fault(io.ErrUnexpectedEOF)
	case err != nil && err != io.EOF:
		c.err = c.fault(err)
	}
	return n, c.err
}

func (c *checked) verdict() error {
	if got := Digest(c.hash.Sum(nil)); got != c.want {
		return c.fault(fmt.Errorf("sha256 %v, want %v", got, c.want))
	}
	return io.EOF
}

// SHA256 is that of what was read so far.
func (c *checked) SHA256() (sum [sha256.Size]byte) {
	c.hash.Sum(sum[:0])
	return sum
}
