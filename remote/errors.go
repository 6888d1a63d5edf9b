package remote

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pondworks/sluice/bundle"
	"github.com/pondworks/sluice/deltalog"
	"github.com/pondworks/sluice/internal/errdef"
	"github.com/pondworks/sluice/storage"
)

// Errors by what the host should do next; errors.Is finds them in whatever
// this package returns.
var (
	// ErrDiverged: the same version has different content on both sides: two
	// writers, a table made anew at its path, a restored copy that went its own
	// way, a wrong prefix. Nothing was written; an operator decides.
	ErrDiverged = errors.New("histories differ")
	// ErrGap: a version between here and there is missing from the store.
	ErrGap = errors.New("version missing from the store")
	// ErrNotEmpty: init was pointed at a folder that holds something else.
	ErrNotEmpty = errors.New("not an empty folder")
	// ErrEmptyStore: the store holds no version, so there is nothing to init or
	// pull from.
	ErrEmptyStore = errors.New("the store holds no versions")
	// ErrExtraHook: the store was begun with Options.Extra and this pusher has
	// none, or the other way round.
	ErrExtraHook = errors.New("extra files hook does not match the store")
	// ErrReadOnly: the table or the store passed to New cannot be written, which
	// this call needs.
	ErrReadOnly = errors.New("read-only")

	// ErrCorrupt: bytes fail their digest or grammar; never applied, the
	// replica is as it was.
	ErrCorrupt = errdef.ErrCorrupt
	// ErrTooLarge: a limit is exceeded.
	ErrTooLarge = errdef.ErrTooLarge
	// ErrUnsupported: a newer format or a Delta feature that this version of
	// the library lacks.
	ErrUnsupported = errdef.ErrUnsupported
	// ErrNoTable: there is no table (yet): init before pull, commit before push.
	ErrNoTable = deltalog.ErrNoTable
	// ErrConflict: the replica already has that version with other content.
	ErrConflict = deltalog.ErrConflict
	// ErrUnavailable: the storage may work later; run the same call again.
	ErrUnavailable = storage.ErrUnavailable
	// ErrDenied: the storage refuses these credentials.
	ErrDenied = storage.ErrDenied
	// ErrNoBucket: the bucket or container of the store does not exist.
	ErrNoBucket = storage.ErrNoBucket
	// ErrUnsafe: the storage ignores create-if-absent and must not be used.
	ErrUnsafe = storage.ErrUnsafe
)

// Error is what every call of a Replicator returns on failure, also where its context ended:
// then errors.Is finds the error of that.
type Error struct {
	Op      string            // push, init, pull, base, follow, wait, status, lag, safe version, versions, verify, drill, consolidate, prune, pin, unpin, pins or repair
	Version *deltalog.Version // the version it was at, nil if none
	Key     string            // the object it was at, "" if none
	Err     error             // the cause; errors.Is and errors.As look through
}

// Error names operation, version and object before the cause, and what to do
// next after it.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Version != nil {
		fmt.Fprintf(&b, " version %d", int64(*e.Version))
	}
	if e.Key != "" {
		b.WriteString(": " + e.Key)
	}
	b.WriteString(": " + e.Err.Error())
	if hint := e.Hint(); hint != "" {
		b.WriteString(" (" + hint + ")")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// errNotYet: nothing is missing, the store just ends below the version.
var errNotYet = fmt.Errorf("%w: it was not pushed yet", ErrGap)

// errNeeded: an object that retention is to keep is not there.
var errNeeded = fmt.Errorf("%w", ErrGap)

// errPruned: what is missing retention has given up.
var errPruned = fmt.Errorf("%w", ErrGap)

// errInTheWay: a bundle that a push would create is there, damaged.
var errInTheWay = errors.New("the bundle there cannot be read")

// inTheWay says that of a bundle. A pack has more than what is damaged of it.
func inTheWay(o object, err error) error {
	if o.pack {
		return err
	}
	return at(o.version, o.Key, fmt.Errorf("%w: %w", errInTheWay, bare(err)))
}

// errLost: the source has lost a file that it needs. errLostHere: the replica has.
var (
	errLost     = fmt.Errorf("%w", ErrCorrupt)
	errLostHere = fmt.Errorf("%w", ErrCorrupt)
)

// errOtherSource: the store is not the one that Options.SourceID names.
var errOtherSource = fmt.Errorf("%w", ErrDiverged)

// errInGap: what was asked for lies in a recorded gap.
var errInGap = fmt.Errorf("%w", ErrGap)

// errBehind: nothing is missing from the store, the table lacks what it has.
var errBehind error = behind{}

type behind struct{}

func (behind) Error() string { return "pull first" }
func (behind) Unwrap() error { return ErrGap }

// behindStore: the table has come to version tip only, where it must be at the end.
func behindStore(pos *position, tip deltalog.Version) error {
	return fmt.Errorf("the table is at version %d, the store at %d: %w", int64(tip), int64(pos.last), errBehind)
}

// hints say what to do next; the first that matches is taken.
var hints = []struct {
	class error
	hint  string
}{
	{errOtherSource, "nothing was changed; give the URL of the store that Options.SourceID (source_pond_id) names, or the id of this one there"},
	{ErrDiverged, "nothing was changed; push this table to another prefix, or restore the replica into an empty folder; what an abandoned copy left above the end of the store, repair removes"},
	{errNotYet, "ask for the newest version or one below it, or push first"},
	{errInGap, "ask for one of these two, or for any other that versions lists: what lies between was never in the store, and nobody can push it any more"},
	{errTooOld, "ask for that version, a newer one, or one that is pinned"},
	{errPruned, "what retention gave up cannot be had again; init a new replica, or go across it (--across-gap, Options.AcrossGap), which drops the replica's log below"},
	{errNeeded, "put it back, from a version of it that the service keeps, or do without: take a base, keep fewer versions, unpin"},
	{errBehind, "nothing was changed"},
	{ErrGap, "go across it (--across-gap, Options.AcrossGap), which leaves out what is missing, if a base follows that has all that is live; else push the missing versions again from a table that has them, after deleting backups/head.json, by which a push goes"},
	{ErrNotEmpty, "choose an empty or new folder"},
	{ErrEmptyStore, "push first, and check the prefix of the URL"},
	{ErrExtraHook, "give every pusher of a store the same hook, or push to another prefix"},
	{errLost, "nothing of this version was pushed; put the file back, from a replica, or push with --allow-missing (Options.AllowMissing), which records that it is gone"},
	{errLostHere, "nothing of this version was applied; put the file back, or init a new replica in an empty folder"},
	{errInTheWay, "nothing of this version was pushed; remove the object and push again from a table that has its versions and their files"},
	{ErrCorrupt, "nothing of it was applied; verify --data (VerifyOptions.Data) finds all that is damaged in a store"},
	{ErrTooLarge, "write it in several commits; one that is there already a push leaves out once the table's log begins at a checkpoint above it, which records a gap"},
	{deltalog.ErrAbsolutePath, "the table refers to files of another one: copy their data into it, as a deep clone does"},
	{ErrUnsupported, "a newer version of this program may read it"},
	{errNilTable, "pass a table to remote.New"},
	{ErrNoTable, "commit to the table before a push, init before a pull"},
	{ErrConflict, "something else writes to this replica"},
	{ErrUnsafe, "use a service that honours conditional writes"},
	{ErrNoBucket, "create the bucket, or check the URL"},
	{ErrDenied, "check the credentials and what they may do"},
	{ErrUnavailable, "it is safe to run the same again"},
}

// What to do next where the class of the error does not tell.
const (
	hintIdentity = "put the object back, from a version of it that the service keeps or a copy of the store, or write it anew as bundle/FORMAT.md says, with the lineage of backups/head.json"
	hintRepair   = "nothing was removed; this table is not that of the store: repair with the one that is, push this one to another prefix, or restore it into an empty folder"
	hintBase     = "no base was taken; put the file back, from a replica, or take one when the table no longer needs it; a program may set Options.AllowMissing, by which the base records that the file is gone"
)

// Hint says in a few words what to do next, "" if there is nothing to say.
func (e *Error) Hint() string {
	_, ofBundle := parseKey(e.Key, bundleName)
	if ofBundle && e.Op != "push" && errors.Is(e.Err, ErrCorrupt) && !errors.Is(e.Err, errLostHere) {
		return "nothing of it was applied; to mend it remove the object and backups/head.json and push again from a table that has its versions; verify --data (VerifyOptions.Data) finds all that is damaged"
	}
	switch {
	case e.Key == identityKey && errors.Is(e.Err, ErrCorrupt):
		return hintIdentity
	case e.Op == "repair" && errors.Is(e.Err, ErrDiverged):
		return hintRepair
	case e.Op == "base" && errors.Is(e.Err, errLost):
		return hintBase
	}
	for _, h := range hints {
		if errors.Is(e.Err, h.class) {
			return h.hint
		}
	}
	return ""
}

// opError wraps err once with the operation; what is wrapped already, and nil,
// pass through with the operation filled in.
func opError(op string, err error) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		e.Op = op
		return err
	}
	return &Error{Op: op, Err: err}
}

// at wraps err with the version and object it happened at, unless an inner
// layer did.
func at(v deltalog.Version, key string, err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return &Error{Version: &v, Key: key, Err: err}
}

// bare returns what an *Error in err is about, for one that is wrapped in a text of
// its own: its hint is that of the whole.
func bare(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// gapAt is met where a version that follows a recorded gap would be applied to
// a replica that has a version below it.
type gapAt struct {
	version deltalog.Version // after the gap
	from    deltalog.Version // the first that is missing
	pruned  bool             // by retention
}

func (g *gapAt) Error() string {
	if g.pruned {
		return fmt.Sprintf("%v: what is below version %d was pruned", ErrGap, int64(g.version))
	}
	if g.from == g.version {
		return fmt.Sprintf("%v: the source could not prove that version %d follows the one before", ErrGap, int64(g.version))
	}
	return fmt.Sprintf("%v: versions %d to %d were gone at the source before they were pushed", ErrGap, int64(g.from), int64(g.version-1))
}

func (g *gapAt) Unwrap() error {
	if g.pruned {
		return errPruned
	}
	return ErrGap
}

// diverged names both contents of a version.
func diverged(v deltalog.Version, here, there bundle.Digest) error {
	return at(v, "", fmt.Errorf("%w: commit sha256 %s here, %s in the store", ErrDiverged, here, there))
}
