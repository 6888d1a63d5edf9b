package storage

import (
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	schemeFile = "file"
	schemeMem  = "mem"
)

// ParseURL reads the place of a store:
//
//	s3://bucket/prefix?region=eu-west-1   and so on for the scheme of any driver
//	file:///absolute/folder               a local folder
//	/folder, ./folder, ../folder          the same, as people type it; nothing is unescaped
//	mem://                                a new, empty store in memory
//
// It does not look whether a driver knows the scheme. Its errors wrap
// ErrInvalidConfig and never contain the URL, which could hold a secret that
// was put there by mistake.
func ParseURL(s string) (Config, error) {
	if isFolder(s) {
		abs, err := filepath.Abs(s)
		if err != nil {
			return Config{}, fmt.Errorf("%w: relative folder: %w", ErrInvalidConfig, err)
		}
		return Config{Scheme: schemeFile, Bucket: abs}, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Opaque != "" || !strings.Contains(s, "://") {
		// The parser's own error repeats the URL.
		return Config{}, fmt.Errorf("%w: this is no URL: want scheme://bucket/prefix, file:///folder, mem:// or a folder that begins with /, ./ or ../", ErrInvalidConfig)
	}
	c, err := fromURL(u)
	if err != nil {
		return Config{}, err
	}
	if err := c.check(); err != nil {
		return Config{}, err
	}
	return c, nil
}

func isFolder(s string) bool {
	slashed := filepath.ToSlash(s)
	return s == "." || s == ".." || strings.HasPrefix(slashed, "/") || filepath.IsAbs(s) ||
		strings.HasPrefix(slashed, "./") || strings.HasPrefix(slashed, "../")
}

func fromURL(u *url.URL) (Config, error) {
	c := Config{Scheme: u.Scheme}
	query, err := url.ParseQuery(u.RawQuery)
	switch {
	case u.User != nil:
		return c, fmt.Errorf("%w: a URL must not contain a user name or password: credentials belong into Config.Key and Config.Secret or into the environment", ErrInvalidConfig)
	case u.Fragment != "":
		return c, fmt.Errorf(`%w: a URL must not contain "#"; in a prefix it is written %%23`, ErrInvalidConfig)
	case err != nil:
		return c, fmt.Errorf("%w: the part after ? is not name=value pairs joined by &", ErrInvalidConfig)
	}
	if len(query) > 0 {
		c.Params = query
	}
	switch u.Scheme {
	case schemeFile:
		return fromFileURL(c, u)
	case schemeMem:
		if u.Host != "" || strings.Trim(u.Path, "/") != "" {
			return c, fmt.Errorf("%w: mem:// takes no name: each opening gives a new, empty store", ErrInvalidConfig)
		}
		return c, nil
	}
	return fromBucketURL(c, u)
}

func fromFileURL(c Config, u *url.URL) (Config, error) {
	folder := filepath.FromSlash(u.Path)
	if runtime.GOOS == "windows" {
		folder = strings.TrimPrefix(folder, `\`) // file:///C:/folder
	}
	if (u.Host != "" && u.Host != "localhost") || !filepath.IsAbs(folder) {
		return c, fmt.Errorf("%w: a file URL needs an absolute path and no host: file:///folder; a relative folder is given without file://, as ./folder", ErrInvalidConfig)
	}
	c.Bucket = filepath.Clean(folder)
	return c, nil
}

func fromBucketURL(c Config, u *url.URL) (Config, error) {
	// A credential pasted before an "@" ends up in the path when it has a slash.
	if strings.Contains(u.EscapedPath(), "@") {
		return c, fmt.Errorf(`%w: "@" in a URL usually follows a credential, which does not belong there; in a prefix it is written %%40`, ErrInvalidConfig)
	}
	c.Bucket = u.Host
	c.Prefix = strings.TrimSuffix(strings.TrimPrefix(u.Path, "/"), "/")
	return c, nil
}
