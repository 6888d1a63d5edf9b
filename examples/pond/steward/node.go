package steward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pondworks/sluice/examples/pond/pondfs"
	"github.com/pondworks/sluice/remote"
	"github.com/pondworks/sluice/storage"
)

// SystemDir is where the factories of a pond are configured. It looks like a
// directory of the pond but lies in control/: a replica must not get the
// configuration of its source, nor a commit of its own for having one.
const SystemDir = "/etc/system.d"

// DefaultNode is where a restored pond keeps its configuration unless
// config_path says otherwise.
const DefaultNode = SystemDir + "/10-remote"

// Node is a configured factory. The only kind is remote.
type Node struct {
	Path string // SystemDir and a name; factories run in the order of their names
	Text []byte // the configuration, YAML, as it was given
}

// Config is the configuration, parsed. Errors do not name the node.
func (n Node) Config() (*remote.Config, error) { return remote.ParseConfig(n.Text) }

// secrets are the values of keys that nobody should see on a screen, but for
// those that only name a variable.
var secrets = regexp.MustCompile(`(?m)^(\s*(?:-\s+)?(?:key|secret):[ \t]*)([^\s$#].*)$`)

// Shown is the text with its secrets left out.
func (n Node) Shown() []byte { return secrets.ReplaceAll(n.Text, []byte("${1}********")) }

// IsNode reports whether a pond path lies in SystemDir.
func IsNode(name string) bool { return name == SystemDir || strings.HasPrefix(name, SystemDir+"/") }

// nodeFile returns the file of a node. It wraps pondfs.ErrPath.
func (p *Pond) nodeFile(name string) (string, error) {
	clean, err := pondfs.Clean(name)
	if err != nil {
		return "", err
	}
	if path.Dir(clean) != SystemDir || strings.HasPrefix(path.Base(clean), ".") {
		return "", fmt.Errorf("%w %q: factories are configured as %s/NAME", pondfs.ErrPath, name, SystemDir)
	}
	return p.control("system.d", path.Base(clean)), nil
}

// Nodes returns the configured factories in the order of their names.
func (p *Pond) Nodes() ([]Node, error) {
	entries, err := os.ReadDir(p.control("system.d"))
	if err != nil {
		return nil, err
	}
	var nodes []Node
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue // a temporary file
		}
		n, err := p.Node(SystemDir + "/" + e.Name())
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// Node returns one configured factory. It wraps fs.ErrNotExist.
func (p *Pond) Node(name string) (Node, error) {
	file, err := p.nodeFile(name)
	if err != nil {
		return Node{}, err
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	clean, cerr := pondfs.Clean(name)
	return Node{Path: clean, Text: text}, errors.Join(err, cerr)
}

// Mknod configures a factory and records that as a transaction, after which the
// factories run: a pond that gets its first remote is backed up at once. It wraps
// fs.ErrExist if there is one of that name.
func (p *Pond) Mknod(ctx context.Context, n Node) (*Txn, error) {
	c, err := n.Config()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(checkPlace(c), p.checkPlaces(c), p.checkSource(ctx, c)); err != nil {
		return nil, err
	}
	file, err := p.nodeFile(n.Path)
	if err != nil {
		return nil, err
	}
	err = createNew(file, bytes.Clone(n.Text))
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s: %w; to replace it: pond rm %s", n.Path, fs.ErrExist, n.Path)
	}
	if err != nil {
		return nil, err
	}
	return p.note("mknod remote " + n.Path)
}

// checkPlace refuses a folder whose place depends on where a command is run:
// today's commit would go into one backup and tomorrow's into another.
func checkPlace(c *remote.Config) error {
	for _, r := range c.Replicas {
		if err := checkPlace(r); err != nil {
			return err
		}
	}
	if strings.HasPrefix(c.Path+c.URL, ".") || c.Path != "" && !filepath.IsAbs(c.Path) && !strings.HasPrefix(c.Path, "${env:") {
		here, err := filepath.Abs(c.Path + c.URL)
		return errors.Join(fmt.Errorf("%w: %q depends on the folder that a command is run in; write %s", remote.ErrInvalidConfig, c.Path+c.URL, here), err)
	}
	return nil
}

// checkPlaces refuses two stores at one place, and one within the pond, as
// far as it is known where they are: VACUUM of an engine would remove it.
func (p *Pond) checkPlaces(c *remote.Config) error {
	seen := map[string]bool{}
	for _, c := range append([]*remote.Config{c}, c.Replicas...) {
		place, err := c.Storage()
		if err != nil {
			return nil // of a variable that is not set each run tells
		}
		if seen[place.String()] {
			return fmt.Errorf("%w: two stores are at %s", remote.ErrInvalidConfig, place)
		}
		if pond := (storage.Config{Scheme: "file", Bucket: p.Path()}); pond.Holds(place) {
			return fmt.Errorf("%w: the store %s must not lie within the pond %s: VACUUM of an engine removes what it finds among the pond's files", remote.ErrInvalidConfig, place, p.Path())
		}
		seen[place.String()] = true
	}
	return nil
}

// checkSource refuses a configuration that is for another pond: source_pond_id is
// the id of this one, or the lineage of the store. An init compares it on its own,
// before there is a pond.
func (p *Pond) checkSource(ctx context.Context, c *remote.Config) error {
	if c.SourcePondID == "" || c.Mode == remote.ModeInit {
		return nil
	}
	id, err := p.FS.ID(ctx)
	if err != nil || id == c.SourcePondID {
		return err
	}
	store, err := OpenStore(ctx, c)
	if err != nil {
		return err
	}
	r, err := p.replicator(c, store, nil)
	if err != nil {
		return err
	}
	st, err := r.Status(ctx)
	if err != nil || st.Lineage == c.SourcePondID {
		return err
	}
	return fmt.Errorf("%w: source_pond_id is %s, but this pond is %s: take the configuration of this pond, or correct it",
		remote.ErrInvalidConfig, c.SourcePondID, id)
}

// RemoveNode forgets a factory. What it put into a store stays there.
func (p *Pond) RemoveNode(name string) (*Txn, error) {
	file, err := p.nodeFile(name)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	} else if err != nil {
		return nil, err
	}
	return p.note("rm " + name)
}
