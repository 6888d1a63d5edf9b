"""Tables as real writers leave them, one commit at a time.

Each scenario is a generator: it yields the name of a step after each one that
may have committed, and LOSS before one that takes away files or commits which
only a copy has afterwards.
"""
import itertools
import os

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Field, Schema, Transaction, convert_to_deltalake, write_deltalake
from deltalake.schema import PrimitiveType

LOSS = "before it is lost"

# Every kind of character that a path, a URI or a Hive folder name escapes.
ODD = [
    "plain", "a b", "100%", "%2F", "k=v", "a/b", "c+d", "e:f", "#?&", "..",
    "back\\slash", "'one' \"two\"", "{x}[y]", "tab\t", "ümlaut 日本語", "e\u0301", None,
]


def batch(start: int, count: int, part=ODD) -> pa.Table:
    ids = range(start, start + count)
    return pa.table({
        "id": pa.array(ids, pa.int64()),
        "part": pa.array([part[i % len(part)] for i in ids], pa.string()),
        "text": pa.array([None if i % 5 == 0 else f"row {i}" for i in ids], pa.string()),
        "value": pa.array([i / 4 for i in ids], pa.float64()),
    })


def mixed(path: str):
    """Every operation of delta-rs on a table partitioned by odd values."""
    write_deltalake(path, batch(0, 34), partition_by=["part"], name="mixed",
                    configuration={"delta.enableChangeDataFeed": "true"})
    yield "create"
    write_deltalake(path, batch(34, 34), mode="append")
    yield "append"
    table = DeltaTable(path)
    table.alter.add_columns([Field("extra", PrimitiveType("long"))])
    yield "add column"
    table.update(updates={"text": "'changed'", "extra": "id * 2"}, predicate="id % 7 = 0")
    yield "update"
    table.delete("id % 11 = 3")
    yield "delete"
    source = batch(60, 20)
    (table.merge(source, "t.id = s.id", source_alias="s", target_alias="t")
     .when_matched_update({"text": "'merged'"})
     .when_not_matched_insert({"id": "s.id", "part": "s.part", "value": "s.value"})
     .execute())
    yield "merge"
    table.optimize.compact()
    yield "compact"
    write_deltalake(path, batch(100, 34), mode="append", schema_mode="merge")
    yield "append without the column"
    table = DeltaTable(path)
    table.optimize.z_order(["id"])
    yield "z-order"
    table.create_checkpoint()
    yield "checkpoint, no commit"
    write_deltalake(path, batch(200, 5, ["a b"]), mode="overwrite", predicate="part = 'a b'",
                    schema_mode="merge")
    yield "replace one partition"
    DeltaTable(path).alter.set_table_properties({"delta.checkpointInterval": "5"})
    yield "metadata only"
    DeltaTable(path).restore(4)
    yield "restore"
    write_deltalake(path, batch(300, 3), mode="append", schema_mode="merge",
                    commit_properties=CommitProperties(
                        custom_metadata={"who": "driver"},
                        app_transactions=[Transaction("driver", 7)]))
    yield "append with a transaction"
    write_deltalake(path, pa.table({"only": pa.array([1, 2, None], pa.int32())}),
                    mode="overwrite", schema_mode="overwrite",
                    partition_by=[], configuration={})
    yield "overwrite with another schema"
    yield LOSS
    DeltaTable(path).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    yield "vacuum"
    write_deltalake(path, pa.table({"only": pa.array([4], pa.int32())}), mode="append")
    yield "append after vacuum"


def many(path: str):
    """200 versions: appends with a delete and an optimize now and then."""
    write_deltalake(path, batch(0, 4), configuration={"delta.checkpointInterval": "20"})
    yield "create"
    for i in range(1, 200):
        if i % 25 == 24:
            DeltaTable(path).optimize.compact()
            yield "compact"
        elif i % 10 == 9:
            DeltaTable(path).delete(f"id % 13 = {i % 13}")
            yield "delete"
        else:
            write_deltalake(path, batch(4 * i, 4), mode="append")
            yield "append"


def wide(path: str):
    """Commits of more files than a manifest lists: a directory that becomes a table, and
    what compacts it."""
    for i in range(41_000):
        folder = f"{path}/day={i // 100}"
        os.makedirs(folder, exist_ok=True)
        pq.write_table(pa.table({"id": pa.array([i], pa.int64())}), f"{folder}/{i}.parquet", compression="NONE")
    convert_to_deltalake(path, partition_by=Schema([Field("day", PrimitiveType("integer"))]), partition_strategy="hive")
    yield "convert"
    DeltaTable(path).delete("id % 5000 = 7")
    yield "delete"
    DeltaTable(path).optimize.compact()
    yield "compact"
    DeltaTable(path).delete("id % 5000 = 8")
    yield "delete again"


def maintenance(path: str):
    """Round after round of new files, which the next step takes away."""
    for i in itertools.count():
        write_deltalake(path, batch(1000 * i, 1000, ODD[:4]), mode="append", partition_by=["part"])
        DeltaTable(path).delete(f"id < {1000 * (i - 5)} or id % 3 = {i % 3}")
        DeltaTable(path).optimize.compact()
        DeltaTable(path).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
        yield


SCENARIOS = {"mixed": mixed, "many": many, "wide": wide}
