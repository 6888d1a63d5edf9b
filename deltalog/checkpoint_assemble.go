package deltalog

import (
	"fmt"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// isNull reports whether the column is null in the current row.
func (b *bound) isNull() bool { return b.leaves[0].row[0].DefinitionLevel() < b.def }

// append appends the value of the current row, which is not null, as JSON.
func (b *bound) append(out []byte) ([]byte, error) {
	if b.shape == shapeGroup {
		return b.appendGroup(out)
	}
	for _, l := range b.leaves[1:] {
		if len(l.row) != len(b.leaves[0].row) {
			return nil, fmt.Errorf("%w: column %q has more keys than values or fewer", ErrCorrupt, b.name)
		}
	}
	switch b.shape {
	case shapeTexts:
		return b.appendTexts(out)
	case shapeTextMap:
		return b.appendTextMap(out)
	}
	return b.leaves[0].append(out, 0)
}

func (b *bound) appendGroup(out []byte) (_ []byte, err error) {
	out = append(out, '{')
	begin, hasStats := len(out), false
	for i := range b.kids {
		kid := &b.kids[i]
		if kid.isNull() || kid.name == statsParsed && hasStats {
			continue
		}
		hasStats = hasStats || kid.name == "stats"
		if len(out) > begin {
			out = append(out, ',')
		}
		if out, err = kid.appendMember(out); err != nil {
			return nil, fmt.Errorf("%s: %w", kid.name, err)
		}
	}
	return append(out, '}'), nil
}

// statsParsed holds the statistics split into columns. What every table has of
// them is turned into the text that the field stats would have been: their
// number of records belongs to a deletion vector. Minima and maxima, whose
// types are the table's, are lost where they are stated only there.
const statsParsed = "stats_parsed"

func (b *bound) appendMember(out []byte) ([]byte, error) {
	if b.name != statsParsed {
		return b.append(append(out, `"`+b.name+`":`...))
	}
	stats, err := b.append(nil)
	if err != nil {
		return nil, err
	}
	return appendText(append(out, `"stats":`...), stats)
}

// isEmpty reports whether a map or a list has no entry: then its leaves hold
// one value, whose level says so.
func (b *bound) isEmpty() bool {
	return b.leaves[0].row[0].DefinitionLevel() == b.def
}

func (b *bound) appendTexts(out []byte) (_ []byte, err error) {
	out = append(out, '[')
	for i := range b.leaves[0].row {
		if b.isEmpty() {
			break
		}
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = b.leaves[0].append(out, i); err != nil {
			return nil, err
		}
	}
	return append(out, ']'), nil
}

func (b *bound) appendTextMap(out []byte) (_ []byte, err error) {
	key, value := b.leaves[0], b.leaves[1]
	out = append(out, '{')
	for i := range key.row {
		if b.isEmpty() {
			break
		}
		if i > 0 {
			out = append(out, ',')
		}
		if key.row[i].IsNull() {
			return nil, fmt.Errorf("%w: a map has a null key", ErrCorrupt)
		}
		if out, err = key.append(out, i); err != nil {
			return nil, err
		}
		if out, err = value.append(append(out, ':'), i); err != nil {
			return nil, err
		}
	}
	return append(out, '}'), nil
}

// append appends the i-th value of the row.
func (l *leaf) append(out []byte, i int) ([]byte, error) {
	v := l.row[i]
	if v.DefinitionLevel() < l.def {
		return append(out, "null"...), nil
	}
	switch v.Kind() {
	case parquet.ByteArray:
		return appendText(out, v.ByteArray())
	case parquet.Boolean:
		return strconv.AppendBool(out, v.Boolean()), nil
	case parquet.Int32:
		return strconv.AppendInt(out, int64(v.Int32()), 10), nil
	case parquet.Int64:
		return strconv.AppendInt(out, v.Int64(), 10), nil
	}
	return nil, fmt.Errorf("%w: a value of kind %v", ErrCorrupt, v.Kind())
}
