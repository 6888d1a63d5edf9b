"""read.py TABLE DIRECTORY: list a directory of a pond as delta-rs reads it.

For each version of the table, oldest first, prints one JSON line: the entries
that "pond ls DIRECTORY --version N --json" prints. Exits 1 if the content of a
file does not have the digest in its row.
"""
import hashlib
import json
import os
import posixpath
import sys

from deltalake import DeltaTable

COLUMNS = ["path", "kind", "version", "size", "sha256"]


def content(table: str, row: dict) -> bytes:
    if row["kind"] == "file":
        return row["content"] or b""
    with open(os.path.join(table, "_large_files", row["sha256"]), "rb") as large:
        return large.read()


def entries(path: str, version: int, directory: str) -> list[dict]:
    newest: dict[str, dict] = {}
    for row in DeltaTable(path, version=version).to_pyarrow_table().to_pylist():
        if posixpath.dirname(row["path"]) != directory:
            continue
        if row["path"] not in newest or newest[row["path"]]["version"] < row["version"]:
            newest[row["path"]] = row
    there = [row for _, row in sorted(newest.items()) if row["kind"] != "removed"]
    for row in there:
        if row["kind"] != "directory" and hashlib.sha256(content(path, row)).hexdigest() != row["sha256"]:
            sys.exit(f"version {version}: {row['path']} does not have its digest")
    return [{name: row[name] for name in COLUMNS if row[name] != ""} for row in there]


def main(path: str, directory: str) -> None:
    for version in range(DeltaTable(path).version() + 1):
        print(json.dumps(entries(path, version, directory)))


main(*sys.argv[1:])
sys.stdout.flush()
os._exit(0)  # a process that ends as usual is aborted now and then by threads of Arrow's
