package remote

import "github.com/pondworks/sluice/internal/extsort"

// What calls hold in memory, in bytes. Options.Memory bounds the sum.
const (
	// packerMemory is what packing one bundle takes beside the result.
	packerMemory = 4 << 20
	// streamMemory is what an upload takes that is packed while it is sent: the
	// packer and the parts of the object that a driver holds.
	streamMemory = 32 << 20
	// sendMemory is what such an upload still takes when all was packed: the parts that
	// are on their way, until the service has put the object together.
	sendMemory = 24 << 20
)

// Taking a base holds the state of the table while the checkpoint is written, which takes
// up to 16 MiB, and meanwhile what is live and what the store has of it are sorted by way of
// the disk, each in an eighth of Options.Memory, and what comes of that, in two sixteenths.
// When a part goes up, or the base, the state is closed.

// stateMemory is what the state of a table takes of Options.Memory.
func (s *session) stateMemory() int64 { return s.opts.Memory / 4 }

// entryMemory is about what a file takes from when it is read in an index to when it is
// placed, in bytes.
const entryMemory = 768

// entriesAtOnce is how many files of a base may be on their way at once, beside as many
// that were read ahead. Of an object with more, some are fetched after the others.
func (s *session) entriesAtOnce() int64 { return max(1, s.opts.Memory/8/entryMemory) }

// keptMemory is what it takes to compare the checkpoint of a base with its index while what
// is live is fetched.
func (s *session) keptMemory() int64 { return s.opts.Memory / 4 }

// sorter returns what sorts in an eighth of Options.Memory.
func (s *session) sorter() *extsort.Sorter { return extsort.New(s.opts.Memory/8, "") }

// halfSorter returns what sorts in half of that.
func (s *session) halfSorter() *extsort.Sorter { return extsort.New(s.opts.Memory/16, "") }

// packedInMemory is the size of table files up to which a bundle is packed in
// memory, so that its upload can be repeated at will; a larger one is packed
// while it is sent.
func (s *session) packedInMemory() int64 { return s.opts.Memory / 4 }

// uploadMemory is what the upload of p takes of Options.Memory.
func (s *session) uploadMemory(p *plan) int64 {
	need := int64(streamMemory)
	if p.size <= s.packedInMemory() {
		need = 2*p.size + packerMemory // some drivers hold a copy, to send it again
	}
	return min(need+p.commitMemory(), s.opts.Memory)
}

// sentMemory is what it takes of that once p was packed while it was sent.
func (p *plan) sentMemory() int64 { return sendMemory + p.commitMemory() }

// commitMemory is what the commits take that p holds.
func (p *plan) commitMemory() (bytes int64) {
	for _, v := range p.versions {
		bytes += int64(len(v.commit))
	}
	return bytes
}
