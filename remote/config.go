package remote

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/pondworks/sluice/storage"
)

// ErrInvalidConfig: a configuration names something unknown, ill-typed or
// contradictory. Its text names key and line.
var ErrInvalidConfig = errors.New("invalid configuration")

// Config is the YAML configuration of a pond's replication. Values of the form
// ${env:NAME} are resolved by Storage and never written back.
type Config struct {
	StorageType      string        // s3, gs, azblob, local or mem
	Bucket           string        // bucket or container
	Prefix           string        // put before every key
	Path             string        // folder, for local
	URL              string        // instead of the four above, and of Region and Endpoint
	Region, Endpoint string        // for s3
	Mode             Mode          // default ModePush
	SourcePondID     string        // lineage id or table id that an init insists on
	ConfigPath       string        // where a host keeps the configuration of the new pond
	SyncInterval     time.Duration // between two passes of a host that follows, in the file in whole seconds; 0: not given
	SwitchToPull     bool          // auto_switch_to_pull
	CompressionLevel *int          // zstd, 1 to 22; 0: store; nil: not given
	// Replicas are further stores to push to, each with a place of its own and
	// nothing else; for NewMulti. Only with ModePush.
	Replicas []*Config

	key, secret storage.Secret
	text        []byte
}

// String names the place and the mode, and no secret.
func (c Config) String() string {
	where := strings.TrimSuffix(c.StorageType+" "+c.Bucket+c.Path+"/"+c.Prefix, "/")
	if c.URL != "" {
		where = "a URL" // which may have what it must not have
		if at, err := storage.ParseURL(c.URL); err == nil {
			where = at.String()
		}
	}
	mode := c.Mode
	if mode == nil {
		mode = ModePush
	}
	return mode.String() + " " + where
}

// GoString returns what String does.
func (c Config) GoString() string { return c.String() }

// place are the keys that say where a store is.
type place struct {
	StorageType string `yaml:"storage_type"`
	Bucket      string `yaml:"bucket"`
	Prefix      string `yaml:"prefix"`
	Path        string `yaml:"path"`
	URL         string `yaml:"url"`
	Region      string `yaml:"region"`
	Key         string `yaml:"key"`
	Secret      string `yaml:"secret"`
	Endpoint    string `yaml:"endpoint"`
}

// fields are the keys as they stand in the file.
type fields struct {
	place            `yaml:",inline"`
	Replicas         []place `yaml:"replicas"`
	Mode             string  `yaml:"mode"`
	SourcePondID     string  `yaml:"source_pond_id"`
	ConfigPath       string  `yaml:"config_path"`
	SyncInterval     *int    `yaml:"sync_interval"`
	SwitchToPull     bool    `yaml:"auto_switch_to_pull"`
	CompressionLevel *int    `yaml:"compression_level"`

	// Known, and not there yet: the answer is an error that says so.
	IncludePaths any `yaml:"include_paths"`
	ExcludePaths any `yaml:"exclude_paths"`
}

// LoadConfig reads a configuration file. See ParseConfig.
func LoadConfig(path string) (*Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := ParseConfig(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// ParseConfig reads a configuration, with or without the outer key "remote".
// Unknown and ill-typed keys, and combinations that make no sense, wrap
// ErrInvalidConfig; keys for what this library does not do yet wrap
// ErrUnsupported.
func ParseConfig(text []byte) (*Config, error) {
	node, err := readNode(text)
	if err == nil {
		err = checkKeys(node, configKeys)
	}
	var f fields
	if err == nil {
		err = node.Load(&f, yaml.WithKnownFields())
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidConfig, oneLine(err))
	}
	c, err := f.config(text)
	if err == nil {
		err = f.addReplicas(c)
	}
	if err != nil {
		return nil, inLine(node, err)
	}
	return c, nil
}

// readNode parses a text and returns what is below the outer key, if there is one.
func readNode(text []byte) (*yaml.Node, error) {
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&doc); err == io.EOF {
		return nil, errors.New("it is empty")
	} else if err != nil {
		return nil, err
	}
	if err := dec.Decode(new(any)); err != io.EOF {
		return nil, errors.New("more than one document")
	}
	top := doc.Content[0]
	if inner, is := outerKey(top); is {
		return inner, nil
	}
	return top, nil
}

// outerKey returns the value of the key "remote" if that is the only one.
func outerKey(top *yaml.Node) (inner *yaml.Node, is bool) {
	if top.Kind != yaml.MappingNode || len(top.Content) != 2 || top.Content[0].Value != "remote" {
		return nil, false
	}
	return top.Content[1], true
}

// hasOuterKey reports whether the one top-level key is "remote".
func hasOuterKey(text []byte) bool {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return false
	}
	_, is := outerKey(doc.Content[0])
	return is
}

func (f *fields) config(text []byte) (*Config, error) {
	for key, value := range map[string]any{"include_paths": f.IncludePaths, "exclude_paths": f.ExcludePaths} {
		if value != nil {
			return nil, fmt.Errorf("%w: %s is not there yet", ErrUnsupported, key)
		}
	}
	mode, err := ParseMode(f.Mode)
	if err != nil {
		return nil, badKey("mode", "mode: %s", err)
	}
	c := f.place.config()
	c.Mode, c.SourcePondID, c.ConfigPath = mode, f.SourcePondID, f.ConfigPath
	c.SwitchToPull, c.text = f.SwitchToPull, bytes.Clone(text)
	if n := f.SyncInterval; n != nil {
		if *n < 1 || int64(*n) > int64(100*365*24*time.Hour/time.Second) {
			return nil, badKey("sync_interval", "sync_interval %d: a whole number of seconds, at least 1", *n)
		}
		c.SyncInterval = time.Duration(*n) * time.Second
	}
	if n := f.CompressionLevel; n != nil {
		if *n < 0 || *n > 22 {
			return nil, badKey("compression_level", "compression_level %d: 0 (store) to 22 are allowed", *n)
		}
		c.CompressionLevel = n
	}
	return c, c.checkPlace()
}

// badKey is an error of the value of a key.
func badKey(key, format string, args ...any) error {
	return &keyError{key, fmt.Sprintf(format, args...)}
}

// config returns a configuration that names the place alone.
func (p place) config() *Config {
	return &Config{
		StorageType: p.StorageType, Bucket: p.Bucket, Prefix: strings.Trim(p.Prefix, "/"), Path: p.Path, URL: p.URL,
		Region: p.Region, Endpoint: p.Endpoint, Mode: ModePush, key: storage.NewSecret(p.Key), secret: storage.NewSecret(p.Secret),
	}
}

func (f *fields) addReplicas(c *Config) error {
	if len(f.Replicas) > 0 && c.Mode != ModePush {
		return badKey("replicas", "replicas are stores to push to, the mode is %s", c.Mode)
	}
	for i, p := range f.Replicas {
		r := p.config()
		if err := r.checkPlace(); err != nil {
			return badKey("replicas", "replicas, number %d: %s", i+1, err)
		}
		c.Replicas = append(c.Replicas, r)
	}
	return nil
}

// schemes of the storage types.
var schemes = map[string]string{"s3": "s3", "gs": "gs", "gcs": "gs", "azblob": "azblob", "azure": "azblob", "local": "file", "mem": "mem"}

// checkPlace makes sure that exactly one place is named.
func (c *Config) checkPlace() error {
	if c.URL != "" {
		if c.StorageType != "" || c.Bucket != "" || c.Prefix != "" || c.Path != "" || c.Region != "" || c.Endpoint != "" {
			return badKey("url", "url stands instead of storage_type, bucket, prefix, path, region and endpoint")
		}
		place, err := storage.ParseURL(c.URL)
		switch {
		case err == nil:
			return c.checkCredentials(place)
		case environment.MatchString(c.URL): // it may be one once they are known
			return nil
		}
		return badKey("url", "%s", err)
	}
	scheme, known := schemes[c.StorageType]
	switch {
	case c.StorageType == "":
		return badKey("", "storage_type or url is missing")
	case !known:
		return badKey("storage_type", "storage_type %q: s3, gs, azblob, local and mem are allowed", c.StorageType)
	case scheme == "file" && c.Path == "":
		return badKey("storage_type", "storage_type local needs path")
	case scheme == "file" || scheme == "mem":
		if c.Bucket != "" || c.Region != "" || c.Endpoint != "" || !c.key.IsZero() || !c.secret.IsZero() {
			return badKey("storage_type", "storage_type %s takes no bucket, region, endpoint, key or secret", c.StorageType)
		}
	case c.Bucket == "":
		return badKey("storage_type", "storage_type %s needs bucket", c.StorageType)
	case c.Path != "":
		return badKey("path", "path is for storage_type local only")
	}
	if c.Region != "" && scheme != "s3" {
		return badKey("region", "region is for storage_type s3 only")
	}
	return nil
}

// checkCredentials makes sure that the place of a URL is one that takes those that are given.
func (c *Config) checkCredentials(place storage.Config) error {
	if (place.Scheme == "file" || place.Scheme == "mem") && !(c.key.IsZero() && c.secret.IsZero()) {
		return badKey("url", "url names a folder or memory, which takes no key or secret")
	}
	return nil
}

// Storage returns what storage.OpenConfig wants, with ${env:NAME} resolved. It
// wraps ErrInvalidConfig if such a variable is not set.
func (c *Config) Storage() (storage.Config, error) {
	var missing error
	get := func(value string) string {
		resolved, err := resolve(value)
		missing = errors.Join(missing, err)
		return resolved
	}
	var s storage.Config
	if c.URL != "" {
		parsed, err := storage.ParseURL(get(c.URL))
		if err = errors.Join(missing, err); err != nil {
			return storage.Config{}, err
		}
		if err := c.checkCredentials(parsed); err != nil {
			return storage.Config{}, fmt.Errorf("%w: %w", ErrInvalidConfig, err)
		}
		s = parsed
	} else {
		s = storage.Config{Scheme: schemes[c.StorageType], Bucket: get(c.Bucket), Prefix: get(c.Prefix), Params: url.Values{}}
		if s.Scheme == "file" {
			s.Bucket = absolute(get(c.Path))
		}
		for name, value := range map[string]string{"region": c.Region, "endpoint": c.Endpoint} {
			if value != "" {
				s.Params.Set(name, get(value))
			}
		}
	}
	if !c.key.IsZero() {
		s.Key = storage.NewSecret(get(c.key.Reveal()))
	}
	if !c.secret.IsZero() {
		s.Secret = storage.NewSecret(get(c.secret.Reveal()))
	}
	return s, missing
}

// absolute makes a path so, as storage.ParseURL does: it names the store, too.
func absolute(path string) string {
	abs, err := filepath.Abs(path)
	if path == "" || err != nil {
		return path
	}
	return abs
}

var environment = regexp.MustCompile(`\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}`)

func resolve(value string) (string, error) {
	var missing error
	resolved := environment.ReplaceAllStringFunc(value, func(ref string) string {
		name := environment.FindStringSubmatch(ref)[1]
		v, ok := os.LookupEnv(name)
		if !ok {
			missing = fmt.Errorf("%w: the environment variable %s is not set", ErrInvalidConfig, name)
		}
		return v
	})
	return resolved, missing
}

// Options returns the options that the configuration sets; the host adds its
// own.
func (c *Config) Options() *Options {
	return &Options{Mode: c.Mode, CompressionLevel: c.CompressionLevel, SourceID: c.SourcePondID, SwitchToPull: c.SwitchToPull, SyncInterval: c.SyncInterval}
}

// modeLine is a key mode with its value, at any indentation.
var modeLine = regexp.MustCompile(`(?m)^(\s*mode:[ \t]*)([^\s#]+)`)

// WithMode returns the text of the configuration with another mode and nothing
// else changed: comments, order and ${env:NAME} stay. A host stores it beside
// the table after an init with SwitchToPull, never in the replicated table.
func (c *Config) WithMode(m Mode) ([]byte, error) {
	text := modeLine.ReplaceAll(c.text, []byte("${1}"+m.String()))
	if !modeLine.Match(c.text) {
		text = append([]byte("mode: "+m.String()+"\n"), c.text...)
		if hasOuterKey(c.text) {
			text = bytes.Replace(c.text, []byte("remote:"), []byte("remote:\n  mode: "+m.String()), 1)
		}
	}
	again, err := ParseConfig(text)
	if err != nil || again.Mode.String() != m.String() {
		return nil, fmt.Errorf("%w: its mode cannot be changed in place: %w", ErrInvalidConfig, err)
	}
	return text, nil
}
