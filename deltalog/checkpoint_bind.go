package deltalog

import (
	"fmt"

	"github.com/parquet-go/parquet-go"
)

// bound is a column as one parquet file has it. Names inside maps and lists
// differ between writers (key_value, entries, map; element, item), so these are
// known by their form.
type bound struct {
	column
	def    int     // the definition level from which on it is not null
	leaves []*leaf // of a map: key, value; of a group: any one of its leaves
	kids   []bound // of a group: the fields that the file has
}

// binder gathers the leaves that are read.
type binder struct{ leaves []*leaf }

func (b *binder) leaf(c *parquet.Column, def int, kinds ...parquet.Kind) (*leaf, error) {
	if c.Leaf() {
		for _, kind := range kinds {
			if c.Type().Kind() == kind {
				l := &leaf{index: c.Index(), def: def}
				b.leaves = append(b.leaves, l)
				return l, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: column %v is not of a type that a checkpoint has", ErrCorrupt, c.Path())
}

// level is the definition level at which c is there, if its parent is from def on.
func level(c *parquet.Column, def int) int {
	if c.Optional() || c.Repeated() {
		return def + 1
	}
	return def
}

// bind finds those of the columns that the file has below c, whose definition
// level is def.
func (b *binder) bind(columns []column, c *parquet.Column, def int) ([]bound, error) {
	var found []bound
	for _, want := range columns {
		in := c.Column(want.name)
		if in == nil {
			continue
		}
		if in.Repeated() {
			return nil, fmt.Errorf("%w: column %v is repeated", ErrCorrupt, in.Path())
		}
		is := bound{column: want, def: level(in, def)}
		if err := b.fill(&is, in); err != nil {
			return nil, err
		}
		switch {
		case len(is.leaves) > 0:
			found = append(found, is)
		case def == 0: // an action whose fields would all be lost
			return nil, fmt.Errorf("%w: column %v has none of the fields of its action", ErrCorrupt, in.Path())
		}
	}
	return found, nil
}

func (b *binder) fill(is *bound, c *parquet.Column) (err error) {
	var l *leaf
	switch is.shape {
	case shapeGroup:
		if c.Leaf() {
			return fmt.Errorf("%w: column %v is not a group", ErrCorrupt, c.Path())
		}
		is.kids, err = b.bind(is.fields, c, is.def)
		if len(is.kids) > 0 {
			is.leaves = is.kids[0].leaves[:1]
		}
		return err
	case shapeTexts:
		l, err = b.list(c, is.def)
	case shapeTextMap:
		is.leaves, err = b.textMap(c, is.def)
		return err
	case shapeLong, shapeInt:
		l, err = b.leaf(c, is.def, parquet.Int64, parquet.Int32)
	case shapeFlag:
		l, err = b.leaf(c, is.def, parquet.Boolean)
	default:
		l, err = b.leaf(c, is.def, parquet.ByteArray)
	}
	is.leaves = []*leaf{l}
	return err
}

// repeated returns the only child of a map or a list.
func repeated(c *parquet.Column) (*parquet.Column, error) {
	if kids := c.Columns(); !c.Leaf() && len(kids) == 1 && kids[0].Repeated() {
		return kids[0], nil
	}
	return nil, fmt.Errorf("%w: column %v is neither a map nor a list", ErrCorrupt, c.Path())
}

// list takes lists of three levels and of two, which old writers made.
func (b *binder) list(c *parquet.Column, def int) (*leaf, error) {
	r, err := repeated(c)
	if err != nil {
		return nil, err
	}
	if r.Leaf() {
		return b.leaf(r, def+1, parquet.ByteArray)
	}
	if len(r.Columns()) != 1 || r.Columns()[0].Repeated() {
		return nil, fmt.Errorf("%w: column %v is not a list", ErrCorrupt, c.Path())
	}
	return b.leaf(r.Columns()[0], level(r.Columns()[0], def+1), parquet.ByteArray)
}

func (b *binder) textMap(c *parquet.Column, def int) ([]*leaf, error) {
	r, err := repeated(c)
	if err != nil {
		return nil, err
	}
	if r.Leaf() || len(r.Columns()) != 2 || r.Columns()[0].Repeated() || r.Columns()[1].Repeated() {
		return nil, fmt.Errorf("%w: column %v is not a map", ErrCorrupt, c.Path())
	}
	kids := r.Columns()
	if kids[0].Name() == "value" && kids[1].Name() == "key" { // the order is no matter of course
		kids[0], kids[1] = kids[1], kids[0]
	}
	key, err := b.leaf(kids[0], level(kids[0], def+1), parquet.ByteArray)
	if err != nil {
		return nil, err
	}
	value, err := b.leaf(kids[1], level(kids[1], def+1), parquet.ByteArray)
	return []*leaf{key, value}, err
}
