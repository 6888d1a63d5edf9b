package deltalog

import (
	"fmt"
	"io"
)

// Live is the set of files that are live in a table after the commits it was
// fed, from version 0 in order. It is as large as that set. The zero value is
// the empty table.
type Live struct {
	entries map[liveKey][]string // to the decoded paths of the files that the entry needs
}

// liveKey identifies an add: its path as stated, and its deletion vector (Delta
// protocol, "Action Reconciliation").
type liveKey struct{ path, vector string }

// Apply feeds the next commit. Errors are those of ScanCommit; after one the
// set is of no use.
func (l *Live) Apply(commit io.Reader) error {
	if l.entries == nil {
		l.entries = map[liveKey][]string{}
	}
	added := map[liveKey][]string{}
	err := eachValue(commit, func(raw []byte) error {
		kinds := [...]field{{name: "add"}, {name: "remove"}}
		if err := pick(raw, kinds[:]); err != nil {
			return err
		}
		if add := kinds[0].value; add != nil {
			key, files, err := readEntry(add)
			added[key] = files
			return err
		}
		if remove := kinds[1].value; remove != nil {
			key, _, err := readEntry(remove)
			delete(l.entries, key)
			if err != nil && key == (liveKey{}) {
				return err
			}
		}
		return nil
	})
	for key, files := range added { // after all removes: within a commit order means nothing
		l.entries[key] = files
	}
	return err
}

// readEntry returns the key of an add or a remove, also where its files cannot
// be named, and the files.
func readEntry(value []byte) (key liveKey, files []string, err error) {
	a, err := parseFileAction(value)
	if err != nil {
		return key, nil, err
	}
	key.path = a.rawPath
	if a.vector != nil {
		f := [...]field{{name: "storageType"}, {name: "pathOrInlineDv"}, {name: "offset"}}
		if err := pick(a.vector, f[:]); err != nil {
			return key, nil, err
		}
		key.vector = fmt.Sprintf("%s%s@%s", f[0].value, f[1].value, f[2].value)
	}
	path, err := DecodePath(a.rawPath)
	if err != nil {
		return key, nil, err
	}
	vectorFile, err := a.vectorFile()
	if err != nil || vectorFile == "" {
		return key, []string{path}, err
	}
	return key, []string{path, vectorFile}, nil
}

// Paths returns the decoded paths of all live files, deletion vectors included.
func (l *Live) Paths() map[string]bool {
	paths := make(map[string]bool, len(l.entries))
	for _, files := range l.entries {
		for _, path := range files {
			paths[path] = true
		}
	}
	return paths
}
