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
	// Default: 4. More than 256 are 256.
	Concurrency int
	// CompressionLevel of zstd, 1 to 22, or 0 to store. Default (nil): as fast as
	// pays, see bundle.Options. Unused with a Codec.
	CompressionLevel *int
	// Codec packs and unpacks bundles. Default: a bundle.Codec.
	Codec BundleCodec
	// Extra names the files outside the Delta log that a version needs.
	// Default: there are none. See ExtraFunc.
	Extra ExtraFunc
	// Metadata gives the host's own keys and values for a version's manifest.
	// Default: none. How it should read the table see ExtraFunc.
	Metadata func(ctx context.Context, v deltalog.Version) (map[string]string, error)
	// Writer is recorded in every bundle. Default: sluice on this host.
	Writer bundle.Writer
	// MaxVersions bounds how many versions one Push moves, so that a commit
	// hook never eats a whole backlog. Default: all. Where another pusher has stored
	// several in one bundle it goes on to the end of that.
	MaxVersions int
	// SyncInterval is how long a Follow waits between two passes if nobody calls
	// Notify; up to a fifth less, so that many replicas do not ask in step. Default:
	// one minute.
	SyncInterval time.Duration
	// Settle is for a program that pushes tables that others commit to: a push
	// leaves out the newest commit until it has not changed for so long, since some
	// engines write it in place. Default, and right in the host's own hook: 0.
	Settle time.Duration
	// AllowMissing lets a push go on when the source has lost a file that its
	// newest version needs: the loss is recorded and the replica lacks the file
	// too, which readers will report as they do at the source. Default: ErrCorrupt.
	AllowMissing bool
	// Observe, if set, is called where a call that moves versions begins, named
	// push, init, pull or base; it may derive the context that the call goes on
	// with, and returns what is called with the outcome, in the same goroutine. It
	// must return quickly. Default: none.
	Observe ObserveFunc
	// Target is the version that Init goes to. Default (nil): the newest.
	Target *deltalog.Version
	// TargetTime, if set, makes Init go to the newest version that is not newer,
	// by the time of a version as Delta counts it. It excludes Target.
	TargetTime time.Time
	// History is how much of it Init restores. Default: HistoryFull.
	History History
	// AcrossGap lets Pull take a recorded gap: the replica leaves out the
	// versions that are missing, and what its log had below them is removed, as
	// Delta's metadata cleanup would. It lets Pull and Init do so, too, where the
	// store has lost versions that it had: they go on from the oldest base above
	// of which nothing is lost. Default: ErrGap.
	AcrossGap bool
	// NoBases keeps Push from taking bases by itself, but beyond a gap and for a commit of very
	// many files, where it cannot do without. They cost about a twentieth of what is pushed,
	// and let HistoryLive skip what is dead.
	NoBases bool
	// Memory is how many bytes about a call may hold in buffers of its transfers
	// and for work on the live set; beyond it transfers wait and temporary files are
	// used. Where uploads of large bundles have to begin anew it may be up to a third more.
	// Go's heap grows to about twice what is held; a process that must stay
	// small sets GOGC and GOMEMLIMIT, or the like of them, as the command sluice does. Default: 64 MiB.
	Memory int64
	// Durability says what a replica survives. Default: DurabilityFull.
	Durability Durability
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

// History says how much of the history Init restores.
type History int

const (
	// HistoryFull restores every version since the last gap, or since the first
	// version if there is none.
	HistoryFull History = iota
	// HistoryLive begins at the newest base that is not above the target: only
	// the files that are live there are fetched, and then what came after it.
	// Older versions cannot be read from such a replica, and its change data feed begins
	// with the version of the base, or the one after it where that removes files without
	// change data files. Without a base it is HistoryFull.
	HistoryLive
)

// Durability says what a version that Init or Pull made visible survives.
type Durability int

const (
	// DurabilityFull: a power cut. All its files are durable before the version is
	// visible, and it is durable when the call returns.
	DurabilityFull Durability = iota
	// DurabilityRelaxed: the end of the process, not that of the system: after a power
	// cut the replica may be damaged without showing it, and must be restored anew.
	// For throw-away replicas.
	DurabilityRelaxed
)

// ObserveFunc watches calls from their begin to their end; see Options.Observe.
type ObserveFunc func(ctx context.Context, op string) (context.Context, func(Report, error))

// ExtraFunc lists, as slash-separated paths relative to the table's root, all
// files that version v needs and that no Delta action names. Such files are
// immutable by name. A bundle omits those that version v-1 lists too, so the
// answer for a version must not change once it was given. The files must lie
// outside _delta_log and .sluice. A hook that reads the table should do it by the
// LogReader that the Replicator was given, with ctx: then it reads the same table as a
// push does, whatever takes its place meanwhile.
type ExtraFunc func(ctx context.Context, v deltalog.Version) ([]string, error)

// BundleCodec packs table versions into one object and back; bundle.Codec is
// the library's. Its methods may be called by many goroutines at once. One that has a
// method Fits as well, as bundle.Codec has, is asked before anything of a version is sent.
type BundleCodec interface {
	// Encode writes the bundle of the versions that m names to w, opening each
	// member with open, and returns m with the sizes and digests it found.
	Encode(ctx context.Context, w io.Writer, m bundle.Manifest, open bundle.OpenFunc) (bundle.Manifest, error)
	// Decode hands every member to put in the order of the archive and returns
	// the manifest after checking each member against it.
	Decode(ctx context.Context, r io.Reader, put bundle.PutFunc) (bundle.Manifest, error)
	// EncodeBase and DecodeBase do the same for bases.
	EncodeBase(ctx context.Context, w io.Writer, b bundle.Base, open bundle.OpenFunc) (bundle.Base, error)
	DecodeBase(ctx context.Context, r io.Reader, put bundle.PutFunc) (bundle.Base, error)
	// EncodePart and DecodePart do the same for parts, whose files the caller has
	// measured already.
	EncodePart(ctx context.Context, w io.Writer, p bundle.Part, open bundle.OpenFunc) (bundle.Part, error)
	DecodePart(ctx context.Context, r io.Reader, put bundle.PutFunc) (bundle.Part, error)
	// ReadManifest, ReadBase and ReadPart read only what describes an object of size bytes.
	// They wrap bundle.ErrNoPlace if that takes reading all of it.
	ReadManifest(ctx context.Context, size int64, open bundle.RangeFunc) (bundle.Manifest, error)
	ReadBase(ctx context.Context, size int64, open bundle.RangeFunc) (bundle.Base, error)
	ReadPart(ctx context.Context, size int64, open bundle.RangeFunc) (bundle.Part, error)
	// Extract reads single files out of a part of a bundle or base that begins
	// at byte at. It wraps bundle.ErrNoPlace if they are not where they should be.
	Extract(ctx context.Context, r io.Reader, at int64, files []bundle.File, put bundle.PutFunc) error
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
	group *group        // of a Multi; nil: alone

	partSize  int64 // see defaultPartSize; tests have smaller ones
	rangeSize int64 // see defaultRangeSize, likewise
	maxListed int   // see defaultMaxListed, likewise

	catalog *catalog // of what this process pushed; only the call that has the turn uses it
	newest  sighting // likewise
	sync    *syncing

	mu   sync.Mutex // guards what follows
	mode Mode
	seen *position // where the store is, as far as this process knows; nil: ask
	ends ends
}

// New returns a Replicator of table and store. A table that is a LogApplier
// can be a replica; a store that is a storage.Creator can be pushed to; a store
// that is a storage.Overwriter gets the head hint. Calls that need an ability
// which is missing return an error wrapping ErrReadOnly. A nil table is for calls
// that only look at the store: Consolidate, Prune, Pin, Unpin, Pins, Versions and
// Verify, and Status and Lag, which then have no table to compare. Init and Pull wrap
// ErrReadOnly; Push, Base, SafeVersion and Repair wrap ErrNoTable as well, but where the
// store is empty all but Push may wrap ErrEmptyStore; Follow and WaitFor end with the error
// of the mode's call. New touches neither.
//
// The host keeps the store out of the table's folder or prefix: VACUUM of an engine removes
// what no version names from there, and with it a store. New refuses a *storage.Dir within a
// *deltalog.Dir; of others a Replicator does not know where they are. Where both are named by a
// storage.Config, its method Holds tells.
//
// It refuses negative Concurrency, MaxVersions, Memory, SyncInterval and Settle, and Target beside TargetTime.
//
// What the store is asked is retried, see storage.Retry.
func New(table LogReader, store storage.Reader, opts *Options) (*Replicator, error) {
	if store == nil {
		return nil, errors.New("remote: a store is required")
	}
	if table == nil {
		table = noTable{}
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	if err := o.fill(); err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	if err := checkApart(table, store); err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	r := &Replicator{table: table, store: store, opts: o, log: o.Logger, turn: make(chan struct{}, 1), sync: newSyncing(), mode: o.Mode, partSize: defaultPartSize, rangeSize: defaultRangeSize, maxListed: defaultMaxListed}
	r.turn <- struct{}{}
	return r, nil
}

// checkApart makes sure that the store does not lie within the table, where both are folders.
func checkApart(table LogReader, store storage.Reader) error {
	in, isFolder := table.(*deltalog.Dir)
	of, isFolderStore := store.(*storage.Dir)
	if !isFolder || !isFolderStore {
		return nil
	}
	place := func(folder string) storage.Config { return storage.Config{Scheme: "file", Bucket: folder} }
	if place(in.Folder()).Holds(place(of.Folder())) {
		return fmt.Errorf("the store %s must not lie within the table %s: VACUUM of an engine removes what it finds among a table's files, and so the backup", of.Folder(), in.Folder())
	}
	return nil
}

// maxConcurrency is more than any line or service is made faster by.
const maxConcurrency = 256

// fill sets the defaults and checks the rest.
func (o *Options) fill() error {
	if o.Mode == nil {
		o.Mode = ModePush
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Concurrency < 0 || o.MaxVersions < 0 || o.Memory < 0 {
		return errors.New("negative Concurrency, MaxVersions or Memory")
	}
	if o.History != HistoryFull && o.History != HistoryLive || o.Durability != DurabilityFull && o.Durability != DurabilityRelaxed {
		return fmt.Errorf("unknown History %d or Durability %d", o.History, o.Durability)
	}
	if o.SyncInterval < 0 || o.Settle < 0 {
		return errors.New("negative SyncInterval or Settle")
	}
	if o.SyncInterval == 0 {
		o.SyncInterval = time.Minute
	}
	if o.Memory == 0 {
		o.Memory = 64 << 20
	}
	if o.Target != nil && !o.TargetTime.IsZero() {
		return errors.New("both Target and TargetTime are set")
	}
	if o.Concurrency == 0 {
		o.Concurrency = 4
	}
	o.Concurrency = min(o.Concurrency, maxConcurrency)
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
