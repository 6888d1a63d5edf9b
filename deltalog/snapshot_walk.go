package deltalog

import (
	"fmt"
	"iter"
	"strconv"
)

// Add is a live file of a table.
type Add struct {
	Path       string // decoded, relative to the table's root
	RawPath    string // as the log states it
	Size       int64  // bytes, as the log states it; 0 if it does not
	Modified   int64  // when the file was made, milliseconds since the epoch, as the log states it; 0 if it does not
	VectorFile string // decoded path of the file with its deletion vector; "" if there is none
	// JSON is the add action's value: verbatim from a commit, rebuilt from a
	// checkpoint in parquet, where minima and maxima are lost that only
	// stats_parsed has. Valid until the next step of the walk.
	JSON []byte
}

// Tombstone is a file that was removed from a table and that time travel may
// still need.
type Tombstone struct {
	RawPath string // as the log states it; it may name nothing here
	JSON    []byte // the remove action's value, like Add.JSON
}

// Transaction is the progress that an application noted in a table.
type Transaction struct {
	AppID   string
	Version int64
	JSON    []byte // the txn action's value, like Add.JSON
}

// Domain is a named configuration that belongs to a table.
type Domain struct {
	Name string
	JSON []byte // the domainMetadata action's value, like Add.JSON
}

// Adds walks the live files in the order of their decoded paths, those of one
// path by their raw paths and deletion vectors. An error ends the walk: it wraps
// what DecodePath wraps for a file that cannot be named here, such as an
// absolute path, or is of the temporary file.
func (s *Snapshot) Adds() iter.Seq2[Add, error] {
	return walk(s, kindFile, func(value []byte) (Add, bool, error) {
		if value[0] != fileAdded {
			return Add{}, false, nil
		}
		add, err := newAdd(value[1:])
		return add, true, err
	})
}

func newAdd(value []byte) (Add, error) {
	a, err := parseFileAction(value)
	if err != nil {
		return Add{}, err
	}
	path, err := DecodePath(a.rawPath)
	if err != nil {
		return Add{}, err
	}
	vectorFile, err := a.vectorFile()
	if err != nil {
		return Add{}, fmt.Errorf("%s: %w", path, err)
	}
	return Add{path, a.rawPath, a.size, a.modified, vectorFile, value}, nil
}

// Tombstones walks the removed files that the log still names, in the order of
// Adds. A checkpoint may have dropped those that expired.
func (s *Snapshot) Tombstones() iter.Seq2[Tombstone, error] {
	return walk(s, kindFile, func(value []byte) (Tombstone, bool, error) {
		if value[0] != fileRemoved {
			return Tombstone{}, false, nil
		}
		a, err := parseFileAction(value[1:])
		return Tombstone{a.rawPath, value[1:]}, true, err
	})
}

// Transactions walks the last txn action of each application, by its id.
func (s *Snapshot) Transactions() iter.Seq2[Transaction, error] {
	return walk(s, kindTxn, func(value []byte) (t Transaction, ok bool, err error) {
		f := [...]field{{name: "appId"}, {name: "version"}}
		if err := pick(value, f[:]); err != nil {
			return t, false, err
		}
		if t.AppID, err = text(f[0].value); err != nil {
			return t, false, err
		}
		if t.Version, err = strconv.ParseInt(string(f[1].value), 10, 64); err != nil {
			return t, false, fmt.Errorf("%w: txn of %q: version: %w", ErrCorrupt, t.AppID, err)
		}
		t.JSON = value
		return t, true, nil
	})
}

// Domains walks the domain metadata that is not removed, by its name.
func (s *Snapshot) Domains() iter.Seq2[Domain, error] {
	return walk(s, kindDomain, newDomain)
}

// newDomain says that it is not ok for a domain that was removed.
func newDomain(value []byte) (d Domain, ok bool, err error) {
	f := [...]field{{name: "domain"}, {name: "removed"}}
	if err := pick(value, f[:]); err != nil {
		return d, false, err
	}
	d.Name, err = text(f[0].value)
	d.JSON = value
	return d, string(f[1].value) != "true", err
}

// LiveFiles walks the decoded paths of all files that the version needs, data
// and deletion vectors, ascending, each once. Errors are those of Adds.
func (s *Snapshot) LiveFiles() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		paths := &sorter{limit: s.options.Memory, dir: s.options.TempDir}
		goOn, err := s.gatherFiles(paths, func(path string) bool { return yield(path, nil) })
		if cerr := paths.close(); err == nil {
			err = cerr
		}
		if err != nil && goOn {
			yield("", err)
		}
	}
}

// gatherFiles sorts all paths and yields each; goOn is false when it was told
// to stop.
func (s *Snapshot) gatherFiles(paths *sorter, yield func(string) bool) (goOn bool, err error) {
	var order [keyOrder]byte
	for add, err := range s.Adds() {
		if err != nil {
			return true, err
		}
		for _, path := range []string{add.Path, add.VectorFile} {
			if path == "" {
				continue
			}
			if err := paths.add(append(appendKey(nil, path), order[:]...), []byte(path)); err != nil {
				return true, err
			}
		}
	}
	paths.settle()
	for r, err := range paths.all() {
		if err != nil {
			return true, err
		}
		if !yield(string(r.value)) {
			return false, nil
		}
	}
	return true, nil
}

// walk yields what parse makes of the records of one kind, unless it says no.
func walk[T any](s *Snapshot, kind byte, parse func(value []byte) (T, bool, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for r, err := range s.state.all() {
			if err == nil && r.key[0] > kind {
				return
			}
			if err == nil && r.key[0] < kind {
				continue
			}
			var v T
			ok := true
			if err == nil {
				v, ok, err = parse(r.value)
			}
			if ok || err != nil {
				if !yield(v, err) || err != nil {
					return
				}
			}
		}
	}
}
