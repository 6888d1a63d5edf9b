package deltalog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// place is where a column goes in the rows of a schema: the opposite of bound.
type place struct {
	column
	def    int   // the definition level of what is not null
	leaves []int // indexes of the leaf columns: of a map key and value
	kids   []place
}

// placeIn finds the columns in a schema that was made of them.
func placeIn(schema *parquet.Schema, columns []column, def int, above ...string) []place {
	places := make([]place, len(columns))
	for i, c := range columns {
		path := append(slices.Clone(above), c.name)
		at := func(below ...string) int {
			leaf, _ := schema.Lookup(append(slices.Clone(path), below...)...)
			return leaf.ColumnIndex
		}
		p := place{column: c, def: def + 1}
		switch c.shape {
		case shapeGroup:
			p.kids = placeIn(schema, c.fields, p.def, path...)
			for _, kid := range p.kids {
				p.leaves = append(p.leaves, kid.leaves...)
			}
		case shapeTexts:
			p.leaves = []int{at("list", "element")}
		case shapeTextMap:
			p.leaves = []int{at("key_value", "key"), at("key_value", "value")}
		default:
			p.leaves = []int{at()}
		}
		places[i] = p
	}
	return places
}

// shredder turns the JSON of actions into the values of the leaf columns. The values of
// texts lie in the JSON where they can.
type shredder struct {
	places  []place
	columns [][]parquet.Value // by leaf
	rows    int
	filled  []int // by place: rows that its columns have
	nulls   []parquet.Value
	entries []field // of a map, while it is taken in
}

func newShredder(places []place) *shredder {
	leaves := 0
	for _, p := range places {
		leaves += len(p.leaves)
	}
	return &shredder{places: places, columns: make([][]parquet.Value, leaves), filled: make([]int, len(places))}
}

func (s *shredder) reset() {
	for i := range s.columns {
		s.columns[i] = s.columns[i][:0]
	}
	clear(s.filled)
	s.rows = 0
}

func (s *shredder) put(leaf int, v parquet.Value, repetition, definition int) {
	s.columns[leaf] = append(s.columns[leaf], v.Level(repetition, definition, leaf))
}

// row takes in one action. After an error the columns are of no use.
func (s *shredder) row(kind string, value []byte) error {
	for i := range s.places {
		p := &s.places[i]
		if p.name != kind {
			continue
		}
		s.fill(i)
		if err := s.value(p, value); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		s.filled[i]++
	}
	s.rows++
	return nil
}

// settle must be called behind the last row.
func (s *shredder) settle() {
	for i := range s.places {
		s.fill(i)
	}
}

// fill says that the rows so far are of other places.
func (s *shredder) fill(i int) {
	n := s.rows - s.filled[i]
	for len(s.nulls) < n {
		s.nulls = append(s.nulls, parquet.NullValue())
	}
	for _, leaf := range s.places[i].leaves {
		s.columns[leaf] = append(s.columns[leaf], s.nulls[:n]...)
	}
	s.filled[i] = s.rows
}

// null says that p, whose parent has the definition level def, is not there.
func (s *shredder) null(p *place, def int) {
	for _, leaf := range p.leaves {
		s.put(leaf, parquet.NullValue(), 0, def)
	}
}

// member is a field of a group, nil where the action lacks it.
func (s *shredder) member(p *place, value []byte) error {
	switch {
	case p.always != "":
		value = []byte(p.always)
	case value == nil && p.must:
		return fmt.Errorf("%w: it is missing", ErrCorrupt)
	case value == nil && p.absent != "":
		value = []byte(p.absent)
	case value == nil:
		s.null(p, p.def-1)
		return nil
	}
	return s.value(p, value)
}

func (s *shredder) value(p *place, value []byte) error {
	switch p.shape {
	case shapeGroup:
		return s.group(p, value)
	case shapeTexts:
		return s.texts(p, value)
	case shapeTextMap:
		return s.textMap(p, value)
	}
	v, err := scalar(p.shape, value)
	if err != nil {
		return err
	}
	s.put(p.leaves[0], v, 0, p.def)
	return nil
}

func (s *shredder) group(p *place, value []byte) error {
	var few [16]field // more than any action has
	fields := few[:0]
	for i := range p.kids {
		fields = append(fields, field{name: p.kids[i].name})
	}
	if err := pick(value, fields); err != nil {
		return err
	}
	for i := range p.kids {
		if err := s.member(&p.kids[i], fields[i].value); err != nil {
			return fmt.Errorf("%s: %w", p.kids[i].name, err)
		}
	}
	return nil
}

func scalar(is shape, value []byte) (parquet.Value, error) {
	switch is {
	case shapeLong:
		n, err := strconv.ParseInt(string(value), 10, 64)
		return parquet.Int64Value(n), corrupt(err)
	case shapeInt:
		n, err := strconv.ParseInt(string(value), 10, 32)
		return parquet.Int32Value(int32(n)), corrupt(err)
	case shapeFlag:
		b, err := strconv.ParseBool(string(value))
		return parquet.BooleanValue(b), corrupt(err)
	}
	b, err := textBytes(value)
	return parquet.ByteArrayValue(b), err
}

func corrupt(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

func (s *shredder) texts(p *place, value []byte) error {
	var elements []json.RawMessage
	if err := json.Unmarshal(value, &elements); err != nil {
		return corrupt(err)
	}
	if len(elements) == 0 {
		s.put(p.leaves[0], parquet.NullValue(), 0, p.def)
	}
	for i, element := range elements {
		v, err := scalar(shapeText, element)
		if err != nil {
			return err
		}
		s.put(p.leaves[0], v, min(i, 1), p.def+2)
	}
	return nil
}

// textMap puts the entries in the order of their keys, so that the same state
// makes the same bytes.
func (s *shredder) textMap(p *place, value []byte) error {
	if value[0] != '{' {
		return fmt.Errorf("%w: %.40s is not a JSON object", ErrCorrupt, value)
	}
	entries := s.entries[:0]
	err := eachMember(value, func(name, value []byte) error {
		entries = append(entries, field{string(name), value})
		return nil
	})
	if err != nil {
		return err
	}
	s.entries = entries
	slices.SortFunc(entries, func(a, b field) int { return strings.Compare(a.name, b.name) })
	key, val := p.leaves[0], p.leaves[1]
	if len(entries) == 0 {
		s.null(p, p.def)
	}
	for i, e := range entries {
		if i > 0 && e.name == entries[i-1].name {
			return fmt.Errorf("%w: %q is there twice", ErrCorrupt, e.name)
		}
		s.put(key, parquet.ByteArrayValue([]byte(e.name)), min(i, 1), p.def+1)
		if string(e.value) == "null" {
			s.put(val, parquet.NullValue(), min(i, 1), p.def+1)
			continue
		}
		s.put(val, parquet.ByteArrayValue(plainText(e.value)), min(i, 1), p.def+2)
	}
	return nil
}

// plainText takes a bare number or boolean as text, as engines do.
func plainText(value []byte) []byte {
	s, err := textBytes(value)
	if err != nil {
		return value
	}
	return s
}
