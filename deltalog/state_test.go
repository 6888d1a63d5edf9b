package deltalog

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// state is what a snapshot says, in the form that a checkpoint keeps of it.
type state struct {
	Protocol map[string]any
	Metadata map[string]any
	Adds     []map[string]any
	Txns     []map[string]any
	Domains  []map[string]any
}

// stateOf leaves out tombstones, which a checkpoint may drop, and dataChange,
// which it states anew.
func stateOf(t testing.TB, s *Snapshot) (all state) {
	columns := map[string]column{}
	for _, c := range actionColumns() {
		columns[c.name] = c
	}
	all.Protocol = known(t, columns["protocol"], s.protocolJSON)
	all.Metadata = known(t, columns["metaData"], s.metadataJSON)
	for a, err := range s.Adds() {
		require.NoError(t, err)
		add := known(t, columns["add"], a.JSON)
		delete(add, "dataChange")
		all.Adds = append(all.Adds, add)
	}
	for txn, err := range s.Transactions() {
		require.NoError(t, err)
		all.Txns = append(all.Txns, known(t, columns["txn"], txn.JSON))
	}
	for domain, err := range s.Domains() {
		require.NoError(t, err)
		all.Domains = append(all.Domains, known(t, columns["domainMetadata"], domain.JSON))
	}
	return all
}

// known returns the fields of an action that a checkpoint has columns for. An
// empty map or list counts as none: writers differ in what they make of it.
func known(t testing.TB, c column, value []byte) map[string]any {
	var object map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(value, &object), "%s", value)
	all := map[string]any{}
	for _, f := range c.fields {
		raw, ok := object[f.name]
		if !ok || string(raw) == "null" || string(raw) == "{}" || string(raw) == "[]" {
			continue
		}
		if f.shape == shapeGroup {
			all[f.name] = known(t, f, raw)
			continue
		}
		var v any
		require.NoError(t, json.Unmarshal(raw, &v))
		all[f.name] = v
		if f.shape == shapeLong {
			all[f.name] = string(raw) // exactly
		}
	}
	return all
}
