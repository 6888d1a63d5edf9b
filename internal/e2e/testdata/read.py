"""read.py TABLE EXPECTED [FIRST [LAST]]: check that engines read a table as it was written.

EXPECTED holds the lines that write.py printed. deltalake opens the table at
every version (from FIRST on, where the history begins there, up to LAST) and at
every moment of it; polars and DuckDB's delta extension
read the tip. Prints one JSON line that says how much was checked; exits 1 with
the first difference.
"""
import glob
import json
import os
import sys
from datetime import datetime

import duckdb
import duckdb_ext
import polars
from deltalake import DeltaTable

from rows import digest, rows


def with_polars(path: str, names: list[str]) -> list[tuple]:
    return polars.scan_delta(path).select(names).collect().rows()


def with_duckdb(path: str, names: list[str]) -> list[tuple]:
    # The extension comes as a package; DuckDB's own INSTALL would download it.
    pattern = os.path.join(list(duckdb_ext.__path__)[0], "extensions", "*", "*", "delta.*")
    connection = duckdb.connect()
    connection.load_extension(glob.glob(pattern)[0])
    columns = ", ".join(f'"{name}"' for name in names)
    return connection.execute(f"select {columns} from delta_scan(?)", [path]).fetchall()


def check(what: str, got, want) -> None:
    if got != want:
        sys.exit(f"{what}: got {got}, want {want}")


def main(path: str, expected: str, first: str = "0", last: str = "") -> None:
    with open(expected) as lines:
        steps = [json.loads(line) for line in lines]
    versions = [version for step in steps for version in step.get("versions", [])]
    moments = [moment for step in steps for moment in step.get("moments", [])]

    end = int(last) if last else versions[-1]["version"]
    versions = [version for version in versions if int(first) <= version["version"] <= end]
    moments = [moment for moment in moments if int(first) <= moment["version"] < end]

    check("tip", DeltaTable(path).version(), versions[-1]["version"])
    for want in versions:
        lines = rows(DeltaTable(path, version=want["version"]))
        check(f"rows of version {want['version']}", len(lines) - 1, want["rows"])
        check(f"digest of version {want['version']}", digest(lines), want["digest"])
    table = DeltaTable(path)
    for want in moments:
        table.load_as_version(datetime.fromisoformat(want["at"]))
        check(f"version at {want['at']}", table.version(), want["version"])

    names = sorted(field.name for field in DeltaTable(path).schema().fields)
    for engine, read in ("polars", with_polars), ("duckdb", with_duckdb):
        lines = [repr(names)] + sorted(repr(tuple(row)) for row in read(path, names))
        check(f"digest of the tip with {engine}", digest(lines), versions[-1]["digest"])
    print(json.dumps({"versions": len(versions), "moments": len(moments),
                      "rows": sum(version["rows"] for version in versions)}))


main(*sys.argv[1:])
