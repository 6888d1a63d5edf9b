// Package storagetest is the test kit for whoever implements or wraps a
// storage.Store: [Run] checks that it keeps the promises of package storage,
// [Count] counts its requests. [Fault] is for whoever uses a Store: it fails the
// operation that a test chooses.
package storagetest

import (
	"cmp"
	"maps"
	"slices"
	"testing"

	"github.com/pondworks/sluice/storage"
)

// Options adapts the suite to a slow or limited server. nil and the zero value
// of each field stand for the defaults.
type Options struct {
	// ListKeys is the number of objects of the listing test. More than the 1000
	// that the services put on one page, if possible. Default 1100.
	ListKeys int
	// LargeSize is the size in bytes of a large object. It should be so large
	// that the driver uploads it in parts. Default 5 MiB.
	LargeSize int
	// Racers and LargeRacers are how many goroutines create one key, with
	// small and with large objects. Defaults 16 and 4.
	Racers, LargeRacers int
	// Skip names cases that the server is known to fail, as "create/race large",
	// each with the reason, which is logged. A name that is no case fails the
	// test, and so does an empty reason.
	Skip map[string]string
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	out.ListKeys = cmp.Or(out.ListKeys, 1100)
	out.LargeSize = cmp.Or(out.LargeSize, 5<<20)
	out.Racers = cmp.Or(out.Racers, 16)
	out.LargeRacers = cmp.Or(out.LargeRacers, 4)
	return out
}

// suite is one case at work: a fresh store and what to do with it.
type suite struct {
	opts  Options
	store storage.Store
}

// cases are all of the suite; a case that needs an optional ability skips
// itself where the store lacks it.
var cases = map[string]func(*testing.T, suite){
	"read/round trip":        testRoundTrip,
	"read/large":             testLarge,
	"read/ranges":            testRanges,
	"read/not found":         testNotFound,
	"read/ctx":               testReadCtx,
	"key/odd":                testOddKeys,
	"key/refused":            testRefusedKeys,
	"list/order":             testListOrder,
	"list/many":              testListMany,
	"list/prefix and after":  testListPrefixAfter,
	"list/early break":       testListBreak,
	"list/ctx":               testListCtx,
	"create/exists":          testExists,
	"create/wrong size":      testWrongSize,
	"create/failing reader":  testFailingReader,
	"create/ctx":             testCreateCtx,
	"create/reader let go":   testReaderLetGo,
	"create/race":            testRace,
	"create/race large":      testRaceLarge,
	"create/race many keys":  testRaceManyKeys,
	"probe":                  testProbe,
	"delete/object":          testDelete,
	"overwrite/replace":      testReplace,
	"overwrite/condition":    testCondition,
	"overwrite/not found":    testGetNotFound,
	"overwrite/size":         testOverwriteSize,
	"overwrite/refused keys": testOverwriteKeys,
}

// Run runs the conformance suite. newStore returns an empty store, each time
// another one; it registers its own clean-up with t.
func Run(t *testing.T, newStore func(t *testing.T) storage.Store) {
	RunWith(t, nil, newStore)
}

// RunWith is [Run] with options.
func RunWith(t *testing.T, opts *Options, newStore func(t *testing.T) storage.Store) {
	o := opts.withDefaults()
	for name, reason := range o.Skip {
		if _, ok := cases[name]; !ok || reason == "" {
			t.Errorf("Options.Skip: %q is no case, or there is no reason", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		t.Run(name, func(t *testing.T) {
			if reason := o.Skip[name]; reason != "" {
				t.Skip(reason)
			}
			cases[name](t, suite{opts: o, store: newStore(t)})
		})
	}
}
