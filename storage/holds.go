package storage

import (
	"os"
	"path/filepath"
	"strings"
)

// Holds reports whether another place is this one or lies within it, as far as their
// names tell: folders by their paths behind all symbolic links that exist, buckets by
// scheme, name, prefix, and the parameters that choose the service. A host asks it of its
// table, for the store: VACUUM of an engine removes what lies within a table's folder or
// prefix, and with it a store.
func (c Config) Holds(other Config) bool {
	if c.Scheme != other.Scheme || c.Scheme == schemeMem {
		return false
	}
	if c.Scheme == schemeFile {
		return leadsThrough(other.realFolder(), c.realFolder())
	}
	for _, service := range []string{"endpoint", "account"} {
		if c.Params.Get(service) != other.Params.Get(service) {
			return false
		}
	}
	return c.Bucket == other.Bucket && leadsThrough(other.Prefix, c.Prefix)
}

// leadsThrough reports whether a clean path, with slashes, leads to or through another.
func leadsThrough(p, through string) bool {
	through = strings.Trim(through, "/")
	return through == "" || strings.HasPrefix(strings.Trim(p, "/")+"/", through+"/")
}

// realFolder is the absolute path of a folder, with slashes, behind the links on the
// part of it that exists.
func (c Config) realFolder() string {
	folder := joinFolder(c.Bucket, c.Prefix)
	if abs, err := filepath.Abs(folder); err == nil { // else there is no working folder
		folder = abs
	}
	rest := ""
	for at := folder; ; {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.ToSlash(filepath.Join(real, rest))
		}
		up := filepath.Dir(at)
		if !os.IsNotExist(err) || up == at {
			return filepath.ToSlash(folder)
		}
		at, rest = up, filepath.Join(filepath.Base(at), rest)
	}
}
