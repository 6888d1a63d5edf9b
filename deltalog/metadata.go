package deltalog

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Metadata is what a metaData action says of the table's identity, schema and
// properties. The id may change within a history that is sound.
type Metadata struct {
	ID               string
	Configuration    map[string]string // the table's properties
	SchemaString     string            // the schema as JSON; "" if not stated
	PartitionColumns []string          // by their logical names
}

func parseMetadata(value []byte) (*Metadata, error) {
	f := [...]field{{name: "id"}, {name: "configuration"}, {name: "schemaString"}, {name: "partitionColumns"}}
	if err := pick(value, f[:]); err != nil {
		return nil, err
	}
	m := &Metadata{Configuration: make(map[string]string)}
	for i, into := range map[int]*string{0: &m.ID, 2: &m.SchemaString} {
		if f[i].value == nil {
			continue
		}
		var err error
		if *into, err = text(f[i].value); err != nil {
			return nil, fmt.Errorf("%s: %w", f[i].name, err)
		}
	}
	if f[3].value != nil {
		if err := json.Unmarshal(f[3].value, &m.PartitionColumns); err != nil {
			return nil, fmt.Errorf("%w: partitionColumns: %w", ErrCorrupt, err)
		}
	}
	if f[1].value == nil {
		return m, nil
	}
	if f[1].value[0] != '{' {
		return nil, fmt.Errorf("%w: configuration is not an object", ErrCorrupt)
	}
	return m, eachMember(f[1].value, func(name, value []byte) error {
		v, err := text(value)
		if err != nil { // a bare number or boolean, which engines take as text
			v = string(value)
		}
		m.Configuration[string(name)] = v
		return nil
	})
}

// defaultCheckpointInterval applies where the table does not state one.
const defaultCheckpointInterval = 100

// checkpointInterval is every how many versions a writer of the table follows a
// commit with a checkpoint: delta.checkpointInterval, 100 if that is not stated
// or no positive number (as delta-rs does it).
func (m *Metadata) checkpointInterval() Version {
	interval, err := strconv.ParseInt(m.Configuration["delta.checkpointInterval"], 10, 64)
	if err != nil || interval <= 0 {
		return defaultCheckpointInterval
	}
	return Version(interval)
}
