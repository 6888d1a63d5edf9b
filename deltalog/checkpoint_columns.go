package deltalog

import "github.com/parquet-go/parquet-go"

// shape is how the value of one field of an action is laid out.
type shape int

const (
	shapeText    shape = iota
	shapeLong          // 64 bits
	shapeInt           // 32 bits
	shapeFlag          // true or false
	shapeTexts         // a list of texts
	shapeTextMap       // from texts to texts or null
	shapeGroup         // an object
)

// column is one field of an action as checkpoints hold it.
type column struct {
	name   string
	shape  shape
	fields []column // of a group
}

func group(name string, fields ...column) column { return column{name, shapeGroup, fields} }

// actionColumns are the actions of a V1 checkpoint and the fields that are
// read and written (Delta protocol, "Checkpoint Schema"). Statistics that are
// split into columns are not among them.
func actionColumns() []column {
	vector := group("deletionVector",
		column{name: "storageType"}, column{name: "pathOrInlineDv"}, column{name: "offset", shape: shapeInt},
		column{name: "sizeInBytes", shape: shapeInt}, column{name: "cardinality", shape: shapeLong},
		column{name: "maxRowIndex", shape: shapeLong})
	rowIDs := []column{{name: "baseRowId", shape: shapeLong}, {name: "defaultRowCommitVersion", shape: shapeLong}}
	return []column{
		group("protocol", column{name: "minReaderVersion", shape: shapeInt}, column{name: "minWriterVersion", shape: shapeInt},
			column{name: "readerFeatures", shape: shapeTexts}, column{name: "writerFeatures", shape: shapeTexts}),
		group("metaData", column{name: "id"}, column{name: "name"}, column{name: "description"},
			group("format", column{name: "provider"}, column{name: "options", shape: shapeTextMap}),
			column{name: "schemaString"}, column{name: "partitionColumns", shape: shapeTexts},
			column{name: "configuration", shape: shapeTextMap}, column{name: "createdTime", shape: shapeLong}),
		group("txn", column{name: "appId"}, column{name: "version", shape: shapeLong}, column{name: "lastUpdated", shape: shapeLong}),
		group("domainMetadata", column{name: "domain"}, column{name: "configuration"}, column{name: "removed", shape: shapeFlag}),
		group("add", append([]column{{name: "path"}, {name: "partitionValues", shape: shapeTextMap}, {name: "size", shape: shapeLong},
			{name: "modificationTime", shape: shapeLong}, {name: "dataChange", shape: shapeFlag}, {name: "stats"},
			{name: "tags", shape: shapeTextMap}, vector, {name: "clusteringProvider"}}, rowIDs...)...),
		group("remove", append([]column{{name: "path"}, {name: "deletionTimestamp", shape: shapeLong}, {name: "dataChange", shape: shapeFlag},
			{name: "extendedFileMetadata", shape: shapeFlag}, {name: "partitionValues", shape: shapeTextMap},
			{name: "size", shape: shapeLong}, vector}, rowIDs...)...),
	}
}

// readColumns are what is read of checkpoints of all kinds: the further actions
// of V2 checkpoints as well ("V2 Spec").
func readColumns() []column {
	columns := actionColumns()
	for i, c := range columns {
		if c.name == "add" {
			columns[i].fields = append(c.fields, group(statsParsed,
				column{name: "numRecords", shape: shapeLong}, column{name: "tightBounds", shape: shapeFlag}))
		}
	}
	return append(columns, group("checkpointMetadata", column{name: "version", shape: shapeLong}),
		group("sidecar", column{name: "path"}, column{name: "sizeInBytes", shape: shapeLong}))
}

// node returns the column as a part of a parquet schema: everything optional,
// maps and lists in three levels. Engines take that layout (Delta protocol,
// "Checkpoint Schema"; Apache Parquet, "Nested Types").
func (c column) node() parquet.Node {
	switch c.shape {
	case shapeLong:
		return parquet.Optional(parquet.Int(64))
	case shapeInt:
		return parquet.Optional(parquet.Int(32))
	case shapeFlag:
		return parquet.Optional(parquet.Leaf(parquet.BooleanType))
	case shapeTexts:
		return parquet.Optional(parquet.List(parquet.Optional(parquet.String())))
	case shapeTextMap:
		return parquet.Optional(parquet.Map(parquet.String(), parquet.Optional(parquet.String())))
	case shapeGroup:
		return parquet.Optional(nodes(c.fields))
	}
	return parquet.Optional(parquet.String())
}

func nodes(columns []column) parquet.Group {
	g := make(parquet.Group, len(columns))
	for _, c := range columns {
		g[c.name] = c.node()
	}
	return g
}
