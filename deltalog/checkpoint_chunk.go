package deltalog

import (
	"fmt"
	"iter"
	"sync"
)

// A chunk of rows ends at whichever of these comes first.
const (
	chunkRows  = 64 // after as many the parquet writer looks whether a page is full
	chunkBytes = 256 << 10
)

// chunksAhead is how many chunks become rows at once.
const chunksAhead = 3

// chunk is some actions of a checkpoint on their way to the columns.
type chunk struct {
	actions  []action
	json     []byte // the values of the actions, one after the other
	shredder *shredder
	adds     int
	err      error
}

// action is of a kind; its value ends there in the chunk's json.
type action struct {
	kind string
	end  int
}

func (k *chunk) reset() {
	k.actions, k.json, k.adds, k.err = k.actions[:0], k.json[:0], 0, nil
	k.shredder.reset()
}

func (k *chunk) add(kind string, value []byte) {
	k.json = append(k.json, value...)
	k.actions = append(k.actions, action{kind, len(k.json)})
}

func (k *chunk) isFull() bool { return len(k.actions) >= chunkRows || len(k.json) >= chunkBytes }

// chunksOf divides the actions of a state into chunks that come from the pool; the same
// state makes the same ones. The last one has the error after which there are no more.
func chunksOf(s *Snapshot, pool *sync.Pool) iter.Seq[*chunk] {
	return func(yield func(*chunk) bool) {
		k := pool.Get().(*chunk)
		protocol, err := s.Protocol.json()
		if err != nil {
			k.err = err
			yield(k)
			return
		}
		k.add("protocol", protocol)
		k.add("metaData", s.metadataJSON)
		for r, err := range s.state.all() {
			if err != nil {
				k.err = err
				break
			}
			if k.isFull() {
				if !yield(k) {
					return
				}
				k = pool.Get().(*chunk)
			}
			k.add(r.action())
		}
		yield(k)
	}
}

// action returns what a record of a state is.
func (r record) action() (kind string, value []byte) {
	switch {
	case r.key[0] == kindTxn:
		return "txn", r.value
	case r.key[0] == kindDomain:
		return "domainMetadata", r.value
	case r.value[0] == fileRemoved:
		return "remove", r.value[1:]
	}
	return "add", r.value[1:]
}

// shred makes rows of the actions.
func (k *chunk) shred() {
	begin := 0
	for _, a := range k.actions {
		if err := k.row(a.kind, k.json[begin:a.end]); err != nil {
			k.err = err
			return
		}
		begin = a.end
	}
	k.shredder.settle()
}

func (k *chunk) row(kind string, value []byte) error {
	switch kind {
	case "domainMetadata":
		if _, ok, err := newDomain(value); err != nil || !ok {
			return err
		}
	case "add":
		add, err := newAdd(value)
		if err != nil {
			return err
		}
		k.adds++
		if err := k.shredder.row(kind, value); err != nil {
			return fmt.Errorf("%s: %w", add.Path, err)
		}
		return nil
	}
	return k.shredder.row(kind, value)
}
