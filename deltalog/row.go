package deltalog

// row is one action in a checkpoint, in Parquet and in JSON: exactly one field is
// set. The fields are those of the Delta protocol ("Checkpoint Schema"); parsed
// statistics and partition values are left out, which readers can do without.
type row struct {
	Txn            *rowTxn            `parquet:"txn,optional" json:"txn,omitempty"`
	Add            *rowAdd            `parquet:"add,optional" json:"add,omitempty"`
	Remove         *rowRemove         `parquet:"remove,optional" json:"remove,omitempty"`
	Metadata       *rowMetadata       `parquet:"metaData,optional" json:"metaData,omitempty"`
	Protocol       *rowProtocol       `parquet:"protocol,optional" json:"protocol,omitempty"`
	DomainMetadata *rowDomainMetadata `parquet:"domainMetadata,optional" json:"domainMetadata,omitempty"`
}

type rowTxn struct {
	AppID       string `parquet:"appId,optional" json:"appId"`
	Version     int64  `parquet:"version,optional" json:"version"`
	LastUpdated *int64 `parquet:"lastUpdated,optional" json:"lastUpdated,omitempty"`
}

type rowAdd struct {
	Path                    string             `parquet:"path,optional" json:"path"`
	PartitionValues         map[string]*string `parquet:"partitionValues,optional" parquet-value:",optional" json:"partitionValues"`
	Size                    int64              `parquet:"size,optional" json:"size"`
	ModificationTime        int64              `parquet:"modificationTime,optional" json:"modificationTime"`
	DataChange              bool               `parquet:"dataChange,optional" json:"dataChange"`
	Stats                   *string            `parquet:"stats,optional" json:"stats,omitempty"`
	Tags                    map[string]*string `parquet:"tags,optional" parquet-value:",optional" json:"tags,omitempty"`
	DeletionVector          *rowVector         `parquet:"deletionVector,optional" json:"deletionVector,omitempty"`
	BaseRowID               *int64             `parquet:"baseRowId,optional" json:"baseRowId,omitempty"`
	DefaultRowCommitVersion *int64             `parquet:"defaultRowCommitVersion,optional" json:"defaultRowCommitVersion,omitempty"`
	ClusteringProvider      *string            `parquet:"clusteringProvider,optional" json:"clusteringProvider,omitempty"`
}

type rowRemove struct {
	Path                    string             `parquet:"path,optional" json:"path"`
	DeletionTimestamp       *int64             `parquet:"deletionTimestamp,optional" json:"deletionTimestamp,omitempty"`
	DataChange              bool               `parquet:"dataChange,optional" json:"dataChange"`
	ExtendedFileMetadata    *bool              `parquet:"extendedFileMetadata,optional" json:"extendedFileMetadata,omitempty"`
	PartitionValues         map[string]*string `parquet:"partitionValues,optional" parquet-value:",optional" json:"partitionValues,omitempty"`
	Size                    *int64             `parquet:"size,optional" json:"size,omitempty"`
	DeletionVector          *rowVector         `parquet:"deletionVector,optional" json:"deletionVector,omitempty"`
	BaseRowID               *int64             `parquet:"baseRowId,optional" json:"baseRowId,omitempty"`
	DefaultRowCommitVersion *int64             `parquet:"defaultRowCommitVersion,optional" json:"defaultRowCommitVersion,omitempty"`
}

type rowVector struct {
	StorageType    string `parquet:"storageType,optional" json:"storageType"`
	PathOrInlineDV string `parquet:"pathOrInlineDv,optional" json:"pathOrInlineDv"`
	Offset         *int32 `parquet:"offset,optional" json:"offset,omitempty"`
	SizeInBytes    int32  `parquet:"sizeInBytes,optional" json:"sizeInBytes"`
	Cardinality    int64  `parquet:"cardinality,optional" json:"cardinality"`
	MaxRowIndex    *int64 `parquet:"maxRowIndex,optional" json:"maxRowIndex,omitempty"`
}

type rowMetadata struct {
	ID               string             `parquet:"id,optional" json:"id"`
	Name             *string            `parquet:"name,optional" json:"name,omitempty"`
	Description      *string            `parquet:"description,optional" json:"description,omitempty"`
	Format           rowFormat          `parquet:"format,optional" json:"format"`
	SchemaString     string             `parquet:"schemaString,optional" json:"schemaString"`
	PartitionColumns []string           `parquet:"partitionColumns,list,optional" json:"partitionColumns"`
	Configuration    map[string]*string `parquet:"configuration,optional" parquet-value:",optional" json:"configuration"`
	CreatedTime      *int64             `parquet:"createdTime,optional" json:"createdTime,omitempty"`
}

type rowFormat struct {
	Provider string            `parquet:"provider,optional" json:"provider"`
	Options  map[string]string `parquet:"options,optional" parquet-value:",optional" json:"options"`
}

type rowProtocol struct {
	MinReaderVersion int32    `parquet:"minReaderVersion,optional" json:"minReaderVersion"`
	MinWriterVersion int32    `parquet:"minWriterVersion,optional" json:"minWriterVersion"`
	ReaderFeatures   []string `parquet:"readerFeatures,list,optional" json:"readerFeatures,omitempty"`
	WriterFeatures   []string `parquet:"writerFeatures,list,optional" json:"writerFeatures,omitempty"`
}

type rowDomainMetadata struct {
	Domain        string `parquet:"domain,optional" json:"domain"`
	Configuration string `parquet:"configuration,optional" json:"configuration"`
	Removed       bool   `parquet:"removed,optional" json:"removed"`
}
