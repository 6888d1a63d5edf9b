package atomicfile

import (
	"path"
	"path/filepath"
	"sync/atomic"
	"time"
)

// What a Step does.
const (
	StepMkdir     = "mkdir"
	StepCreate    = "create"    // a new, empty file
	StepUnnamed   = "unnamed"   // a new, empty file under a name that nobody else sees
	StepWrite     = "write"     // Data at the end of a file
	StepSetTime   = "settime"   // Time is the file's
	StepSync      = "sync"      // bytes and time of a file become durable
	StepSyncDir   = "syncdir"   // names in a folder become durable
	StepSyncAll   = "syncall"   // all of the file system becomes durable
	StepRename    = "rename"    // to ToPath, replacing what is there
	StepMove      = "move"      // to ToPath, which must be free
	StepLink      = "link"      // the file has the name ToPath as well, which must be free
	StepRemove    = "remove"    // a file or an empty folder
	StepRemoveAll = "removeall" // whatever is there, and what is below
)

// Step is one call to the system that changes files or makes them durable. All
// that this package does to a disk, and so all that tables and stores in a local
// folder do, is steps.
type Step struct {
	Do               string
	Folder, Name     string // of what it is about
	ToFolder, ToName string // of a rename, a move or a link
	Data             []byte // of a write
	Time             time.Time
}

// Path returns the absolute path of what the step is about.
func (s *Step) Path() string { return filepath.Join(s.Folder, filepath.FromSlash(path.Clean(s.Name))) }

// ToPath returns the absolute path of the new name.
func (s *Step) ToPath() string { return filepath.Join(s.ToFolder, filepath.FromSlash(s.ToName)) }

var interceptor atomic.Pointer[func(s *Step, do func() error) error]

// Intercept lets f stand between this process and its disk: f is called for each
// step in place of it, by many goroutines at once, and calls do for the step to be
// taken. It may cut Data short before. It is for tests of what happens when a disk fails,
// and counts for the whole process until stop is called.
func Intercept(f func(s *Step, do func() error) error) (stop func()) {
	interceptor.Store(&f)
	return func() { interceptor.Store(nil) }
}

func take(s Step, do func(*Step) error) error {
	f := interceptor.Load()
	if f == nil {
		return do(&s)
	}
	return (*f)(&s, func() error { return do(&s) })
}
