package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
)

// packWriter reads as the bundles of a group, one after the other. Each is checked
// before its bytes are passed on; several are fetched ahead.
type packWriter struct {
	s     *session
	ctx   context.Context // of the call, which the writer does not outlive
	group []object
	hash  hash.Hash

	before, chain commits // before the group; and of what was read of it

	ahead  <-chan chan checkedBundle
	cancel context.CancelFunc
	now    bytes.Reader
	at     int64
	next   deltalog.Version // that the next bundle must carry
	done   []packed
	astray bool // it failed, since a bundle carries nothing new, or is of another history
}

func newPackWriter(ctx context.Context, s *session, group []object, before commits) *packWriter {
	return &packWriter{s: s, ctx: ctx, group: group, before: before, chain: maps.Clone(before), hash: sha256.New()}
}

type checkedBundle struct {
	raw []byte
	m   bundle.Manifest
	err error
}

// Read yields the bytes of the pack.
func (w *packWriter) Read(p []byte) (int, error) {
	for w.now.Len() == 0 {
		if err := w.advance(); err != nil {
			return 0, err
		}
	}
	return w.now.Read(p)
}

// Seek tells the position, or goes back to the start, so that an upload can be tried
// again.
func (w *packWriter) Seek(offset int64, whence int) (int64, error) {
	switch {
	case offset == 0 && whence == io.SeekStart:
		w.stop()
		*w = *newPackWriter(w.ctx, w.s, w.group, w.before)
		return 0, nil
	case offset == 0 && whence == io.SeekCurrent && w.ahead == nil:
		return 0, nil
	}
	return 0, errors.New("a pack can only be read again from its start")
}

// advance goes to the next bundle, io.EOF behind the last.
func (w *packWriter) advance() error {
	if w.ahead == nil {
		ctx, cancel := context.WithCancel(w.ctx)
		w.cancel, w.ahead, w.next = cancel, w.fetch(ctx), w.group[0].version
	}
	result, more := <-w.ahead
	if !more {
		if len(w.done) < len(w.group) {
			return w.ctx.Err()
		}
		return io.EOF
	}
	b := <-result
	o := w.group[len(w.done)]
	if b.err != nil {
		return b.err
	}
	last := deltalog.Version(b.m.Versions[len(b.m.Versions)-1].Version)
	w.astray = o.version <= w.next && (last < w.next || !w.chain.fit(b.m))
	if w.astray || o.version > w.next {
		return at(o.version, o.Key, fmt.Errorf("%w: it carries versions up to %d, want version %d", ErrCorrupt, int64(last), int64(w.next)))
	}
	w.chain.add(b.m)
	w.done = append(w.done, packed{o.version, last, w.at, int64(len(b.raw))})
	w.at += int64(len(b.raw))
	w.next = last + 1
	w.hash.Write(b.raw)
	w.now.Reset(b.raw)
	return nil
}

// packAhead is how many bundles are fetched at once; each has at most packBundle
// bytes.
const packAhead = 16

// fetch reads and checks the bundles ahead, in order.
func (w *packWriter) fetch(ctx context.Context) <-chan chan checkedBundle {
	ahead := make(chan chan checkedBundle, packAhead-1)
	go func() {
		defer close(ahead)
		for _, o := range w.group {
			result := make(chan checkedBundle, 1)
			select {
			case ahead <- result:
			case <-ctx.Done():
				return
			}
			go func() { result <- w.s.readChecked(ctx, o) }()
		}
	}()
	return ahead
}

// readChecked reads a small bundle into memory and checks it.
func (s *session) readChecked(ctx context.Context, o object) checkedBundle {
	var raw bytes.Buffer
	r, err := s.store.Open(ctx, o.Key, o.off, o.Size)
	if err != nil {
		return checkedBundle{err: at(o.version, o.Key, err)}
	}
	m, err := s.decodeFrom(ctx, counted{io.TeeReader(r, &raw), s.portion(o.Size)}, o, discarded)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err == nil && int64(raw.Len()) != o.Size {
		err = at(o.version, o.Key, fmt.Errorf("%w: %d bytes, the listing says %d", ErrCorrupt, raw.Len(), o.Size))
	}
	return checkedBundle{raw.Bytes(), m, err}
}

// finish reads on to the end, for what that tells, from wherever it stands.
func (w *packWriter) finish() error {
	for {
		if err := w.advance(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// stop ends what is being fetched and waits for it.
func (w *packWriter) stop() {
	if w.cancel == nil {
		return
	}
	w.cancel()
	for result := range w.ahead {
		<-result
	}
}
