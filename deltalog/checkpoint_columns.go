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

	// When a checkpoint is written:
	must   bool   // an action without it is refused
	absent string // JSON that stands for it where an action lacks it; "" is null
	always string // JSON that is written whatever an action says; "" is what it says
}

func str(name string) column { return column{name: name} }

func long(name string) column { return column{name: name, shape: shapeLong} }

func flag(name string) column { return column{name: name, shape: shapeFlag} }

func group(name string, fields ...column) column {
	return column{name: name, shape: shapeGroup, fields: fields}
}

// textMap is written empty where it is not there, unless absent is "".
func textMap(name, absent string) column {
	return column{name: name, shape: shapeTextMap, absent: absent}
}

func must(c column) column {
	c.must = true
	return c
}

// noChange is what a checkpoint says of dataChange: nothing in it changes data.
func noChange() column { return column{name: "dataChange", shape: shapeFlag, always: "false"} }

// actionColumns are the actions of a V1 checkpoint and the fields that are
// read and written (Delta protocol, "Checkpoint Schema"). Statistics that are
// split into columns are not among them. What must be there, or is written empty
// rather than null, is so because readers refuse a null there.
func actionColumns() []column {
	vector := group("deletionVector", must(str("storageType")), must(str("pathOrInlineDv")),
		column{name: "offset", shape: shapeInt}, column{name: "sizeInBytes", shape: shapeInt, must: true},
		must(long("cardinality")), long("maxRowIndex"))
	format := group("format", column{name: "provider", absent: `"parquet"`}, textMap("options", "{}"))
	format.absent = "{}"
	return []column{
		group("protocol", column{name: "minReaderVersion", shape: shapeInt, must: true},
			column{name: "minWriterVersion", shape: shapeInt, must: true},
			column{name: "readerFeatures", shape: shapeTexts}, column{name: "writerFeatures", shape: shapeTexts}),
		group("metaData", must(str("id")), str("name"), str("description"), format, must(str("schemaString")),
			column{name: "partitionColumns", shape: shapeTexts, absent: "[]"}, textMap("configuration", "{}"), long("createdTime")),
		group("txn", must(str("appId")), must(long("version")), long("lastUpdated")),
		group("domainMetadata", must(str("domain")), column{name: "configuration", absent: `""`},
			column{name: "removed", shape: shapeFlag, absent: "false"}),
		group("add", must(str("path")), textMap("partitionValues", "{}"), must(long("size")), must(long("modificationTime")),
			noChange(), str("stats"), textMap("tags", ""), vector, str("clusteringProvider"),
			long("baseRowId"), long("defaultRowCommitVersion")),
		group("remove", must(str("path")), long("deletionTimestamp"), noChange(), flag("extendedFileMetadata"),
			textMap("partitionValues", ""), long("size"), vector, long("baseRowId"), long("defaultRowCommitVersion")),
	}
}

// readColumns are what is read of checkpoints of all kinds: the further actions
// of V2 checkpoints as well ("V2 Spec").
func readColumns() []column {
	columns := actionColumns()
	for i, c := range columns {
		if c.name == "add" {
			columns[i].fields = append(c.fields, group(statsParsed, long("numRecords"), flag("tightBounds")))
		}
	}
	return append(columns, group("checkpointMetadata", long("version")),
		group("sidecar", str("path"), long("sizeInBytes")))
}

// node returns the column as a part of a parquet schema: everything optional,
// maps and lists in three levels, plain values. Engines of all ages take that
// layout (Delta protocol, "Checkpoint Schema"; Apache Parquet, "Nested Types").
func (c column) node() parquet.Node {
	plain := func(n parquet.Node) parquet.Node { return parquet.Encoded(n, &parquet.Plain) }
	optional := func(n parquet.Node) parquet.Node { return parquet.Optional(plain(n)) }
	switch c.shape {
	case shapeLong:
		return optional(parquet.Int(64))
	case shapeInt:
		return optional(parquet.Int(32))
	case shapeFlag:
		return optional(parquet.Leaf(parquet.BooleanType))
	case shapeTexts:
		return parquet.Optional(parquet.List(optional(parquet.String())))
	case shapeTextMap:
		return parquet.Optional(parquet.Map(plain(parquet.String()), optional(parquet.String())))
	case shapeGroup:
		return parquet.Optional(nodes(c.fields))
	}
	return optional(parquet.String())
}

func nodes(columns []column) parquet.Group {
	g := make(parquet.Group, len(columns))
	for _, c := range columns {
		g[c.name] = c.node()
	}
	return g
}
