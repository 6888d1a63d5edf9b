package deltalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/pondworks/sluice/internal/inorder"
)

const (
	// commitsAhead is how many goroutines read commits at once: a log in a bucket answers
	// each request after a while. See severalOf.
	commitsAhead = 8
	// aheadBytes is up to which size in bytes; most are far below.
	aheadBytes = 32 << 10
)

var aheadBuffers = sync.Pool{New: func() any { return new([aheadBytes]byte) }}

// readCommit is a commit that was read before its turn, if it is small.
type readCommit struct {
	version Version
	buf     *[aheadBytes]byte
	n       int  // bytes of buf
	whole   bool // they are all of it
	err     error
}

// eachCommit calls f with the commits from one version to another, in order and one at a
// time, until it fails.
func eachCommit(ctx context.Context, log LogFiles, from, to Version, f func(v Version, r io.Reader) error) error {
	several := severalOf(log)
	firsts := func(yield func(Version) bool) {
		for v := from; v <= to && yield(v) && to-v >= several; v += several {
		}
	}
	read := func(ctx context.Context, first Version) []readCommit {
		commits := make([]readCommit, min(several-1, to-first)+1)
		for i := range commits {
			commits[i] = readAhead(ctx, log, first+Version(i))
		}
		return commits
	}
	for commits := range inorder.Seq(ctx, commitsAhead, firsts, read) {
		for _, c := range commits {
			err := c.use(ctx, log, f)
			aheadBuffers.Put(c.buf)
			if err != nil {
				return fmt.Errorf("version %d: %w", int64(c.version), err)
			}
		}
	}
	return nil
}

// severalOf returns how many commits one goroutine reads, one after the other. In a folder
// that is held open each takes microseconds, and to hand it over as many.
func severalOf(log LogFiles) Version {
	if _, local := log.(heldLog); local {
		return 4
	}
	return 1
}

func readAhead(ctx context.Context, log LogFiles, v Version) readCommit {
	c := readCommit{version: v, buf: aheadBuffers.Get().(*[aheadBytes]byte)}
	file, err := log.Open(ctx, v.CommitPath())
	if err != nil {
		c.err = err
		return c
	}
	c.n, err = io.ReadFull(file, c.buf[:])
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) {
		c.whole, err = true, nil
	}
	c.err = errors.Join(err, file.Close())
	return c
}

func (c *readCommit) use(ctx context.Context, log LogFiles, f func(v Version, r io.Reader) error) error {
	switch {
	case c.err != nil:
		return c.err
	case c.whole:
		return f(c.version, bytes.NewReader(c.buf[:c.n]))
	}
	file, err := log.Open(ctx, c.version.CommitPath())
	if err != nil {
		return err
	}
	return errors.Join(f(c.version, file), file.Close())
}
