"""lake.py write TABLE FIRST LAST, or lake.py read TABLE EXPECTED [FIRST]: delta-rs on tables in S3.

TABLE is a folder or s3://bucket/prefix, and the environment says how to get
there. write makes steps FIRST to LAST of a history and prints one JSON line for
each version of them with a digest of its rows. read wants every version from
FIRST on, which is a line of EXPECTED, to have these rows; it exits 1 with the
first that has not, and prints how many it read.
"""
import hashlib
import json
import sys

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder, write_deltalake

# Every kind of character that a path, a URI or a Hive folder name escapes.
ODD = [
    "plain", "a b", "100%", "%2F", "k=v", "a/b", "c+d", "e:f", "#?&", "back\\slash",
    "'one' \"two\"", "{x}[y]", "tab\t", "ümlaut 日本語", None,
]


def batch(start: int, count: int) -> pa.Table:
    ids = range(start, start + count)
    return pa.table({"id": pa.array(ids, pa.int64()),
                     "part": pa.array([ODD[i % len(ODD)] for i in ids], pa.string()),
                     "text": pa.array([f"row {i}" for i in ids], pa.string())})


def create(table):
    write_deltalake(table, batch(0, 30), partition_by=["part"],
                    configuration={"delta.enableChangeDataFeed": "true", "delta.checkpointInterval": "4"})


def append(table):
    write_deltalake(table, batch(30, 30), mode="append")


def update(table):
    DeltaTable(table).update(updates={"text": "'changed'"}, predicate="id % 7 = 0")


def delete(table):
    DeltaTable(table).delete("id % 5 = 3")


def merge(table):
    (DeltaTable(table).merge(batch(50, 30), "t.id = s.id", source_alias="s", target_alias="t")
     .when_matched_update({"text": "'merged'"})
     .when_not_matched_insert({"id": "s.id", "part": "s.part", "text": "s.text"})
     .execute())


def compact(table):
    DeltaTable(table).optimize.compact()


def restore(table):
    DeltaTable(table).restore(2)


STEPS = [create, append, update, delete, merge, compact, append, restore, append, delete, update, compact]


def digest(table: str, version: int) -> str:
    opened = DeltaTable(table, version=version)
    rows = QueryBuilder().register("t", opened).execute("select id, part, text from t order by id, text").read_all()
    lines = repr([column.to_pylist() for column in rows.columns]).encode()
    return f"{rows.num_rows} rows, {hashlib.sha256(lines).hexdigest()}"


def write(table: str, first: str, last: str) -> None:
    done = -1 if first == "0" else DeltaTable(table).version()
    for step in STEPS[int(first):int(last) + 1]:
        step(table)
    for version in range(done + 1, DeltaTable(table).version() + 1):
        print(json.dumps({"version": version, "rows": digest(table, version)}))


def read(table: str, expected: str, first: str = "0") -> None:
    with open(expected) as lines:
        versions = [json.loads(line) for line in lines][int(first):]
    tip = DeltaTable(table).version()
    if tip != versions[-1]["version"]:
        sys.exit(f"version {tip} is the newest, want {versions[-1]['version']}")
    for want in versions:
        got = digest(table, want["version"])
        if got != want["rows"]:
            sys.exit(f"version {want['version']}: got {got}, want {want['rows']}")
    print(len(versions))


{"write": write, "read": read}[sys.argv[1]](*sys.argv[2:])
