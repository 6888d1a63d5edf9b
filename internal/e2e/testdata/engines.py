"""Engines that read Delta tables, each behind the same few methods.

tip(path) is the newest version; read(path, version) digests the rows of a
version, or of the tip for None; read_at(path, ms) digests what the engine takes
for the table at a moment, and version_at(path, ms) says which version that is. A
method that an engine has no way to offer is missing, and ABSENT says why.
"""
import glob
import itertools
import os
from datetime import datetime, timezone

import duckdb
import duckdb_ext
import polars
from deltalake import DeltaTable, QueryBuilder

import spark
from rows import digest


def moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms // 1000, timezone.utc).replace(microsecond=ms % 1000 * 1000)


class DeltaRs:
    def tip(self, path):
        return DeltaTable(path).version()

    def read(self, path, version):
        # The query engine, and not to_pyarrow_table, because only the engine
        # reads deletion vectors.
        table = DeltaTable(path, version=version)
        rows = QueryBuilder().register("t", table).execute("select * from t").read_all()
        return digest(rows.column_names, zip(*(column.to_pylist() for column in rows.columns)))

    def version_at(self, path, ms):
        table = DeltaTable(path)
        table.load_as_version(moment(ms))
        return table.version()

    def changes(self, path, first, last):
        rows = DeltaTable(path).load_cdf(starting_version=first, ending_version=last).read_all()
        return digest(rows.column_names, zip(*(column.to_pylist() for column in rows.columns)))


class Polars:
    def read(self, path, version):
        frame = polars.scan_delta(path, version=version).collect()
        return digest(frame.columns, frame.rows())

    def read_at(self, path, ms):
        frame = polars.scan_delta(path, version=moment(ms)).collect()
        return digest(frame.columns, frame.rows())


class DuckDB:
    def __init__(self):
        # The extension comes as a package; DuckDB's own INSTALL would download it.
        pattern = os.path.join(list(duckdb_ext.__path__)[0], "extensions", "*", "*", "delta.*")
        self.connection = duckdb.connect()
        self.connection.load_extension(glob.glob(pattern)[0])
        self.names = (f"t{i}" for i in itertools.count())

    def read(self, path, version):
        name, quoted = next(self.names), path.replace("'", "''")
        at = "" if version is None else f", version {version}"
        self.connection.execute(f"attach '{quoted}' as {name} (type delta{at})")
        try:
            result = self.connection.execute(f"select * from {name}")
            return digest([column[0] for column in result.description], result.fetchall())
        finally:
            self.connection.execute(f"detach {name}")

    def append(self, path, query):
        name, quoted = next(self.names), path.replace("'", "''")
        self.connection.execute(f"attach '{quoted}' as {name} (type delta)")
        self.connection.execute(f"insert into {name} {query}")
        self.connection.execute(f"detach {name}")


ENGINES = {"deltalake": DeltaRs(), "polars": Polars(), "duckdb": DuckDB()}
if spark.JARS:
    ENGINES["spark"] = spark.Spark()
ABSENT = {} if spark.JARS else {"spark": "SLUICE_SPARK_JARS names no folder with the jars of delta-spark; .ci/run gets them"}
ABSENT |= {
    "polars version_at": "it reads by time, but does not say what it chose",
    "polars tip": "it asks delta-rs",
    "duckdb tip": "its extension has no function for that",
    "duckdb version_at": "its extension reads by version alone",
    "duckdb read_at": "its extension reads by version alone",
    "deltalake read_at": "version_at says more",
}
