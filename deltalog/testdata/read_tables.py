"""read_tables.py: read Delta tables with every engine there is.

Takes the tables' folders from standard input, one a line. Prints a JSON list
with one object for each: by engine, "rows <number> <digest>" of its rows
without order, or the name of the error.
"""
import glob
import hashlib
import json
import os
import sys

import duckdb
import duckdb_ext
import polars
from deltalake import DeltaTable


def with_deltalake_state(path):
    """Everything that deltalake says of a table apart from its rows."""
    table = DeltaTable(path)
    metadata, protocol = table.metadata(), table.protocol()
    return polars.DataFrame(table.get_add_actions(flatten=True)).to_dicts() + [
        [metadata.id, metadata.name, metadata.description, metadata.partition_columns, metadata.created_time],
        sorted(metadata.configuration.items()),
        json.dumps(json.loads(table.schema().to_json()), sort_keys=True),
        [protocol.min_reader_version, protocol.min_writer_version],
        [sorted(protocol.reader_features or []), sorted(protocol.writer_features or [])],
        table.version(),
    ]


def with_deltalake_rows(path):
    return DeltaTable(path).to_pyarrow_table().to_pylist()


def with_polars(path):
    return polars.scan_delta(path).collect().rows()


def with_duckdb(path):
    # The extension comes as a package; DuckDB's own INSTALL would download it.
    pattern = os.path.join(list(duckdb_ext.__path__)[0], "extensions", "*", "*", "delta.*")
    connection = duckdb.connect()
    connection.load_extension(glob.glob(pattern)[0])
    return connection.execute("select * from delta_scan(?)", [path]).fetchall()


def canonical(row):
    return repr(sorted(row.items()) if isinstance(row, dict) else row)


def reading(read, path):
    try:
        rows = sorted(canonical(row) for row in read(path))
    except BaseException as error:  # some engines panic
        return f"{type(error).__name__}: {error}"
    return f"rows {len(rows)} {hashlib.sha256(chr(10).join(rows).encode()).hexdigest()}"


engines = {"deltalake state": with_deltalake_state, "deltalake": with_deltalake_rows, "polars": with_polars, "duckdb": with_duckdb}
print(json.dumps([{name: reading(read, line.strip()) for name, read in engines.items()} for line in sys.stdin]))
