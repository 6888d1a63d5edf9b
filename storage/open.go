package storage

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Driver opens the stores of some URL schemes. The drivers of the clouds are
// packages of their own; a host passes those that it wants to link.
type Driver interface {
	// Schemes lists the URL schemes of this driver, without "://".
	Schemes() []string
	// Open returns the store that c names. It should not need the network, so
	// that a host can start while the service is away; it returns an error
	// naming the parameter if c has one that the driver does not know.
	Open(ctx context.Context, c Config) (Store, error)
}

// Open opens the store of a URL as [ParseURL] describes it. "file" and "mem"
// are built in; any other scheme needs its driver:
//
//	store, err := storage.Open(ctx, "s3://bucket/prefix", s3.Driver())
//
// The store does not retry: package remote does, for all that is given to it, so a store for
// that is not to be wrapped in [Retry] as well. Returns an error wrapping
// ErrInvalidConfig if the URL is bad or no driver knows its scheme.
func Open(ctx context.Context, url string, drivers ...Driver) (Store, error) {
	c, err := ParseURL(url)
	if err != nil {
		return nil, err
	}
	return OpenConfig(ctx, c, drivers...)
}

// OpenConfig is [Open] for a Config.
func OpenConfig(ctx context.Context, c Config, drivers ...Driver) (Store, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	known := slices.Concat(drivers, []Driver{fileDriver{}, memDriver{}})
	for _, d := range known {
		if slices.Contains(d.Schemes(), c.Scheme) {
			return d.Open(ctx, c)
		}
	}
	return nil, unknownScheme(c.Scheme, known)
}

// packages names the driver package of each scheme that this module has one
// for, to tell a host what it forgot to import.
var packages = map[string]string{"s3": "s3", "gs": "gcs", "azblob": "azure"}

func unknownScheme(scheme string, known []Driver) error {
	if p, ok := packages[scheme]; ok {
		return fmt.Errorf("%w: no driver for %s:// was passed: import github.com/pondworks/sluice/storage/%s and pass %s.Driver()", ErrInvalidConfig, scheme, p, p)
	}
	names := slices.Collect(maps.Keys(packages))
	for _, d := range known {
		names = append(names, d.Schemes()...)
	}
	slices.Sort(names)
	return fmt.Errorf("%w: unknown scheme %q: known are %s", ErrInvalidConfig, scheme, strings.Join(slices.Compact(names), ", "))
}

type fileDriver struct{}

func (fileDriver) Schemes() []string { return []string{schemeFile} }

func (fileDriver) Open(_ context.Context, c Config) (Store, error) {
	if err := takesNothing(c); err != nil {
		return nil, err
	}
	if c.Bucket == "" {
		return nil, fmt.Errorf("%w: no folder", ErrInvalidConfig)
	}
	return OpenDir(joinFolder(c.Bucket, c.Prefix))
}

type memDriver struct{}

func (memDriver) Schemes() []string { return []string{schemeMem} }

func (memDriver) Open(_ context.Context, c Config) (Store, error) {
	if err := takesNothing(c); err != nil {
		return nil, err
	}
	if c.Bucket != "" || c.Prefix != "" {
		return nil, fmt.Errorf("%w: mem:// takes no bucket and no prefix", ErrInvalidConfig)
	}
	return NewMemory(), nil
}

// takesNothing refuses what a built-in store would otherwise ignore in silence.
func takesNothing(c Config) error {
	if len(c.Params) > 0 {
		return fmt.Errorf("%w: %s:// knows no parameters, got %q", ErrInvalidConfig, c.Scheme, slices.Sorted(maps.Keys(c.Params)))
	}
	if !c.Key.IsZero() || !c.Secret.IsZero() || !c.Token.IsZero() {
		return fmt.Errorf("%w: %s:// takes no key or secret", ErrInvalidConfig, c.Scheme)
	}
	return nil
}
