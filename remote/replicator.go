package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/storage"
)

// Options of a Replicator. The zero value of every field is its default.
type Options struct {
	// Mode is what Run does. Default: ModePush.
	Mode Mode
	// Logger gets what happens. Default: silent.
	Logger *slog.Logger
	// Concurrency bounds how many versions are uploaded or fetched at once.
	// Default: 4.
	Concurrency int
	// CompressionLevel of zstd, 1 to 22. Default: 3. Unused with a Codec.
	CompressionLevel int
	// Codec packs and unpacks bundles. Default: a bundle.Codec.
	Codec BundleCodec
	// Extra names the files outside the Delta log that a version needs.
	// Default: there are none. See ExtraFunc.
	Extra ExtraFunc
	// Metadata gives the host's own keys and values for a version's manifest.
	// Default: none.
	Metadata func(ctx context.Context, v deltalog.Version) (map[string]string, error)
	// Writer is recorded in every bundle. Default: sluice on this host.
	Writer bundle.Writer
	// MaxVersions bounds how many versions one Push moves, so that a commit
	// hook never eats a whole backlog. Default: all.
	MaxVersions int
	// Target is the version that Init goes to. Default (nil): the newest.
	Target *deltalog.Version
	// SourceID, if set, is the lineage id or the table id that the store must
	// have; Init refuses another.
	SourceID string
	// SwitchToPull makes Run pull once an init of it has succeeded.
	SwitchToPull bool
	// Progress is told how far a call is, many times a second, by several
	// goroutines but never two at once. It must return quickly.
	Progress func(Progress)
	// Clock tells the time. Default: time.Now.
	Clock func() time.Time
}

// ExtraFunc lists, as slash-separated paths relative to the table's root, all
// files that version v needs and that no Delta action names. Such files are
// immutable by name. A bundle omits those that version v-1 lists too, so the
// answer for a version must not change once it was given. The files must lie
// outside _delta_log and .sluice.
type ExtraFunc func(ctx context.Context, v deltalog.Version) ([]string, error)

// BundleCodec packs table versions into one object and back; bundle.Codec is
// the library's. Its methods may be called by many goroutines at once.
type BundleCodec interface {
	// Encode writes the bundle of the versions that m names to w, opening each
	// member with open, and returns m with the sizes and digests it found.
	Encode(ctx context.Context, w io.Writer, m bundle.Manifest, open bundle.OpenFunc) (bundle.Manifest, error)
	// Decode hands every member to put in the order of the archive and returns
	// the manifest after checking each member against it.
	Decode(ctx context.Context, r io.Reader, put bundle.PutFunc) (bundle.Manifest, error)
}

// Replicator moves the versions of one table to and from one store. It is made
// by New, and its methods may be called by many goroutines at once: calls that
// move versions queue.
type Replicator struct {
	table LogReader
	store storage.Reader
	opts  Options
	log   *slog.Logger
	turn  chan struct{} // holds a token while no call moves versions

	mu   sync.Mutex // guards what follows
	mode Mode
	seen *position // where the store is, as far as this process knows; nil: ask
}

// New returns a Replicator of table and store. A table that is a LogApplier
// can be a replica; a store that is a storage.Creator can be pushed to; a store
// that is a storage.Overwriter gets the head hint. Calls that need an ability
// which is missing return an error wrapping ErrReadOnly. New touches neither.
func New(table LogReader, store storage.Reader, opts *Options) (*Replicator, error) {
	if table == nil || store == nil {
		return nil, errors.New("remote: table and store are required")
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	if err := o.fill(); err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	r := &Replicator{table: table, store: store, opts: o, log: o.Logger, turn: make(chan struct{}, 1), mode: o.Mode}
	r.turn <- struct{}{}
	return r, nil
}

// fill sets the defaults and checks the rest.
func (o *Options) fill() error {
	if o.Mode == nil {
		o.Mode = ModePush
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Concurrency < 0 || o.MaxVersions < 0 {
		return errors.New("negative concurrency or MaxVersions")
	}
	if o.Concurrency == 0 {
		o.Concurrency = 4
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Writer == (bundle.Writer{}) {
		host, _ := os.Hostname() // only for people to read; a nameless host is fine
		o.Writer = bundle.Writer{Program: "sluice", Host: host}
	}
	if o.Codec != nil {
		return nil
	}
	codec, err := bundle.NewCodec(&bundle.Options{Level: o.CompressionLevel})
	o.Codec = codec
	return err
}

// Run does one pass of the mode in Options; after a successful init with
// Options.SwitchToPull the mode is pull.
func (r *Replicator) Run(ctx context.Context) (Report, error) {
	r.mu.Lock()
	m := r.mode
	r.mu.Unlock()
	report, err := m.Run(ctx, r)
	if err == nil && report.Mode == ModeInit.String() && r.opts.SwitchToPull {
		r.mu.Lock()
		r.mode = ModePull
		r.mu.Unlock()
	}
	return report, err
}
