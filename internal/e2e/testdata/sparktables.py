"""Tables as Spark leaves them, a feature or two each, one commit at a time.

Each scenario is a generator, as in deltars.py. All tables lie at a path, without
a catalog.
"""
import glob
import itertools
import os

import spark
from deltars import LOSS, ODD
from spark import sql


def odd(column: str = "id") -> str:
    """An expression with every kind of character that paths escape."""
    values = ["null" if v is None else f"decode(unhex('{v.encode().hex()}'), 'utf-8')" for v in ODD]
    return f"element_at(array({', '.join(values)}), cast({column} % {len(values)} + 1 as int))"


def batch(start: int, end: int, part: str = "concat('p ', id % 2)") -> str:
    return (f"select id, {part} as part, if(id % 5 = 0, null, concat('row ', id)) as text, id / 4 as value "
            f"from range({start}, {end}, 1, 1)")


COLUMNS = "id bigint, part string, text string, value double"


def create(table: str, columns: str = COLUMNS, clause: str = "", **properties) -> str:
    listed = ", ".join(f"'delta.{key}' = '{value}'" for key, value in properties.items())
    sql(f"create table {table} ({columns}) using delta {clause} " + (f"tblproperties ({listed})" if listed else ""))
    return "create"


def append(table: str, query: str) -> str:
    sql(f"insert into {table} {query}")
    return "append"


def run(text: str) -> str:
    """Runs a statement and returns its first words."""
    sql(text)
    return " ".join(text.split()[:2])


def merge(table: str, query: str) -> str:
    return run(f"merge into {table} t using ({query}) s on t.id = s.id when matched and s.id % 4 = 0 then delete "
               "when matched then update set * when not matched then insert *")


def require_log(path: str, pattern: str) -> None:
    """Fails the scenario if the log has no such file: it would be about nothing."""
    if not glob.glob(os.path.join(path, "_delta_log", pattern)):
        raise AssertionError(f"Spark wrote no {pattern}")


class configured:
    """Settings of the session for the duration of a scenario."""

    def __init__(self, **settings):
        self.settings = {"spark.databricks.delta." + key.replace("__", "."): value for key, value in settings.items()}

    def __enter__(self):
        for key, value in self.settings.items():
            spark.session().conf.set(key, value)

    def __exit__(self, *_):
        for key in self.settings:
            spark.session().conf.unset(key)


def plain(t: str, path: str):
    """Copy on write, odd partition values, and files that VACUUM takes away."""
    yield create(t, clause="partitioned by (part)")
    yield append(t, batch(0, 34, odd()))
    yield run(f"update {t} set text = 'changed' where id % 9 = 2")
    yield run(f"delete from {t} where id % 11 = 3")
    yield merge(t, batch(30, 38, odd()))
    yield run(f"optimize {t}")
    yield run(f"optimize {t} zorder by (id)")
    yield LOSS
    yield run(f"vacuum {t} retain 0 hours")
    yield append(t, batch(40, 44, odd()))
    yield run(f"restore table {t} to version as of 7")
    another = spark.session().sql("select cast(7 as int) as only")
    another.write.format("delta").mode("overwrite").option("overwriteSchema", "true").save(path)
    yield "overwrite with another schema"
    yield append(t, "values (1), (null)")


def vectors(t: str, path: str):
    """Deletion vectors, commits that change nothing else, and their end."""
    yield create(t, clause="partitioned by (part)", enableDeletionVectors="true")
    yield append(t, batch(0, 40))
    yield append(t, batch(40, 80))
    yield run(f"delete from {t} where id % 7 = 0")
    yield merge(t, batch(60, 90))
    yield run(f"restore table {t} to version as of 3")
    yield run(f"optimize {t}")
    yield run(f"delete from {t} where id = 17")
    yield run(f"reorg table {t} apply (purge)")
    yield LOSS
    yield run(f"vacuum {t} retain 0 hours")
    yield run(f"delete from {t} where id = 18")


def changes(t: str, path: str):
    """The change data feed, of tables with and without deletion vectors."""
    yield create(t, clause="partitioned by (part)", enableChangeDataFeed="true", enableDeletionVectors="false")
    yield append(t, batch(0, 34, odd()))
    yield run(f"update {t} set value = -1 where id % 6 = 1")
    yield run(f"delete from {t} where id % 7 = 3")
    yield merge(t, batch(30, 40, odd()))
    yield run(f"insert overwrite {t} partition (part = 'a b') select 1000, 'over', 0.5")
    yield run(f"alter table {t} set tblproperties ('delta.enableDeletionVectors' = 'true')")
    yield run(f"delete from {t} where id % 5 = 4")
    yield run(f"optimize {t}")
    yield run(f"update {t} set value = -2 where id % 11 = 2")


def mapped(mode: str):
    def scenario(t: str, path: str):
        """Columns whose names in the files are not those of the table."""
        yield create(t, "id bigint, `a, b;{}=` string, gone int, part string, s struct<x: int, y: string>", "partitioned by (part)",
                     **{"columnMapping.mode": mode, "enableDeletionVectors": "true"})
        row = "select id, concat('v ', id), 7, concat('p ', id % 3), named_struct('x', cast(id as int), 'y', 'why') from range({}, {}, 1, 1)"
        yield append(t, row.format(0, 20))
        yield run(f"alter table {t} rename column id to `new id`")
        yield run(f"alter table {t} rename column s.x to z")
        yield run(f"alter table {t} drop column gone")
        yield run(f"alter table {t} add columns (gone string after `new id`)")
        yield append(t, "select id, 'back', concat('v ', id), concat('p ', id % 3), named_struct('z', 1, 'y', null) from range(20, 30, 1, 1)")
        yield run(f"delete from {t} where `new id` % 7 = 0")
        yield run(f"alter table {t} rename column part to `the part`")
        yield run(f"optimize {t}")
    return scenario


def upgraded(t: str, path: str):
    """Features that come to a table later."""
    yield create(t, enableDeletionVectors="false")
    yield append(t, batch(0, 20))
    yield run(f"alter table {t} set tblproperties ('delta.columnMapping.mode' = 'name')")
    yield run(f"alter table {t} rename column text to words")
    yield run(f"alter table {t} set tblproperties ('delta.enableInCommitTimestamps' = 'true')")
    yield run(f"insert into {t} {batch(20, 30)}")
    yield run(f"alter table {t} set tblproperties ('delta.enableRowTracking' = 'true')")
    yield run(f"alter table {t} set tblproperties ('delta.enableDeletionVectors' = 'true')")
    yield run(f"delete from {t} where id = 3")
    yield append(t, batch(30, 33))


def clustered(t: str, path: str):
    """Liquid clustering, and its change."""
    yield create(t, clause="cluster by (id, part)")
    yield append(t, batch(0, 30))
    yield append(t, batch(30, 60))
    yield run(f"optimize {t}")
    yield run(f"delete from {t} where id % 3 = 0")
    yield run(f"alter table {t} cluster by (text)")
    yield run(f"optimize {t} full")


def widened(t: str, path: str):
    """Types that grow, columns that appear, by statement and by writing."""
    yield create(t, "a byte, b short, c int, d decimal(5, 2), s struct<x: short>, l array<short>", enableTypeWidening="true")
    yield append(t, "select cast(id as byte), cast(id as short), cast(id as int), cast(id as decimal(5, 2)), "
                    "named_struct('x', cast(id as short)), array(cast(id as short), null) from range(10)")
    yield run(f"alter table {t} alter column a type int")
    yield run(f"alter table {t} alter column b type int")
    yield run(f"alter table {t} alter column s.x type int")
    yield append(t, "select 100000, 100000, 5, 1.25, named_struct('x', 100000), array(1)")
    yield run(f"alter table {t} alter column d type decimal(12, 4)")
    with configured(schema__autoMerge__enabled="true"):
        frame = spark.session().sql("select 1 a, 2 b, 9000000000 c, cast(7.1234 as decimal(12, 4)) d, named_struct('x', 3, 'added', date'2026-01-02') s, true fresh")
        frame.write.format("delta").mode("append").save(path)
    yield "append with wider types and more columns"
    yield run(f"alter table {t} set tblproperties ('delta.feature.timestampNtz' = 'supported')")
    yield run(f"alter table {t} add columns (ts timestamp_ntz)")
    yield append(t, "(a, ts) values (1, timestamp_ntz'2026-01-02 03:04:05.123456')")


def generated(t: str, path: str):
    """Identity, generated and default columns, checks."""
    # Only the builder makes such columns in a table without a catalog.
    tables, jspark = spark.session()._jvm.io.delta.tables.DeltaTable, spark.session()._jsparkSession

    def column(name, kind):
        return tables.columnBuilder(jspark, name).dataType(kind)

    partitions = spark.session().sparkContext._gateway.new_array(spark.session()._jvm.java.lang.String, 1)
    partitions[0] = "year"
    (tables.create(jspark).location(path).partitionedBy(partitions)
     .addColumn(column("id", "bigint").generatedAlwaysAsIdentity(10, 5).build())
     .addColumn("day", "date").addColumn(column("year", "int").generatedAlwaysAs("year(day)").build())
     .addColumn("kind", "string").addColumn(column("n", "int").nullable(False).build())
     .property("delta.feature.allowColumnDefaults", "supported").execute())
    yield "create"
    yield run(f"alter table {t} alter column kind set default 'none'")
    yield append(t, "(day, n) select date_add(date'2024-12-28', cast(id as int)), id from range(8)")
    yield run(f"alter table {t} add constraint small check (n < 1000)")
    yield append(t, "(day, kind, n) values (date'2026-05-05', 'given', 500)")
    yield run(f"update {t} set day = date'2020-02-02' where n = 3")
    yield append(t, "(day, n) values (date'2026-06-06', 501)")


def checkpointed(file_format: str):
    def scenario(t: str, path: str):
        """V2 checkpoints with sidecars, every fourth version."""
        with configured(checkpointV2__topLevelFileFormat=file_format, checkpoint__partSize="4"):
            yield create(t, clause="partitioned by (part)", checkpointPolicy="v2", checkpointInterval="4", enableDeletionVectors="true")
            for i in range(3):
                yield append(t, batch(10 * i, 10 * i + 10))
                yield run(f"delete from {t} where id % 10 = {i}")
            require_log(path, f"*.checkpoint.????????-*.{file_format}")
            require_log(path, "_sidecars/*.parquet")
    return scenario


def multipart(t: str, path: str):
    """Classic checkpoints of several parts."""
    with configured(checkpoint__partSize="4"):
        yield create(t, clause="partitioned by (part)", checkpointInterval="4", enableDeletionVectors="false")
        for i in range(3):
            yield append(t, batch(10 * i, 10 * i + 10))
        yield run(f"delete from {t} where id % 10 = 4")
        yield append(t, batch(60, 61))
        require_log(path, "*.checkpoint.0000000002.*.parquet")


def age(path: str, version: int, at: int) -> None:
    """Gives a commit a time, in milliseconds since 1970: its file, checksum and
    checkpoint, since Spark cleans up below an old checkpoint, if nothing there is young."""
    for name in glob.glob(os.path.join(path, "_delta_log", f"{version:020}.*")):
        os.utime(name, ns=(at * 1_000_000, at * 1_000_000))


def timed(t: str, path: str):
    """In-commit timestamps from the beginning."""
    # The cleanup goes by the times of the files, which would all be too old.
    yield create(t, enableInCommitTimestamps="true", checkpointInterval="4", enableExpiredLogCleanup="false")
    for i in range(1, 5):
        append(t, batch(10 * i, 10 * i + 10))
        # Copied or restored by a tool that keeps no times: it must not matter.
        age(path, i, 1000)
        yield "append"
    yield run(f"restore table {t} to version as of 2")


def tracked(t: str, path: str):
    """Row ids that stay with their rows."""
    yield create(t, enableRowTracking="true", enableDeletionVectors="true")
    yield append(t, batch(0, 20))
    yield run(f"update {t} set text = 'changed' where id % 5 = 1")
    yield run(f"delete from {t} where id % 7 = 0")
    yield merge(t, batch(15, 25))
    yield run(f"optimize {t}")
    yield append(t, batch(30, 35))


def shapes(t: str, path: str):
    """Types that only some engines know, and deeply nested ones."""
    yield create(t, "id bigint, v variant, n timestamp_ntz, m map<string, array<struct<k: int>>>, b binary, d decimal(38, 10), i timestamp")
    yield append(t, "select id, parse_json(concat('{\"a\": [', id, ', null]}')), timestamp_ntz'1582-10-04 01:02:03', "
                    "map('k', array(named_struct('k', cast(id as int)), null)), unhex('00ff'), 12345678901234567890.5, timestamp'1970-01-01 00:00:00' from range(5)")
    yield append(t, "(id) values (null)")


def converted(t: str, path: str):
    """Plain parquet files that became a table where they lay."""
    spark.session().sql(batch(0, 40)).write.partitionBy("part").parquet(path)
    yield run(f"convert to delta parquet.`{path}` partitioned by (part string)")
    yield append(t, f"select id, text, value, part from ({batch(40, 50)})")
    yield run(f"delete from {t} where id % 4 = 1")


def cleaned(t: str, path: str):
    """Commits of long ago, some of one moment and one that seems earlier than
    the one before; Spark's cleanup and VACUUM take what is old."""
    at = 1_698_272_000_123  # in 2023
    create(t, enableDeletionVectors="true", checkpointInterval="4", enableExpiredLogCleanup="false",
           logRetentionDuration="interval 1 days", deletedFileRetentionDuration="interval 0 hours")
    age(path, 0, at)
    yield "create"
    for i, moment in enumerate([at + 5000, at + 5000, at + 1000, at + 7200_000, at + 9000_000], 1):
        if i % 3 == 0:
            sql(f"delete from {t} where id % 10 = {i}")
        else:
            append(t, batch(10 * i, 10 * i + 10))
        age(path, i, moment)
        yield "append or delete"
    run(f"optimize {t}")
    yield "optimize"
    yield LOSS
    yield run(f"vacuum {t} retain 0 hours")
    yield run(f"alter table {t} set tblproperties ('delta.checkpointInterval' = '2', 'delta.enableExpiredLogCleanup' = 'true')")
    for i in range(3):
        yield append(t, batch(500 + i, 501 + i))
    if glob.glob(os.path.join(path, "_delta_log", f"{0:020}.*")):
        raise AssertionError("Spark has not cleaned the log up")


def maintenance(path: str):
    """Round after round of new files, which the next step takes away."""
    t = f"delta.`{path}`"
    create(t, enableDeletionVectors="true", deletedFileRetentionDuration="interval 0 hours")
    for i in itertools.count():
        for half in 0, 10:  # OPTIMIZE leaves a single file as it is
            append(t, batch(20 * i + half, 20 * i + half + 10))
        sql(f"delete from {t} where id < {20 * (i - 3)} or id % 3 = {i % 3}")
        sql(f"optimize {t}")
        sql(f"vacuum {t} retain 0 hours")
        yield


def at(scenario):
    return lambda path: scenario(f"delta.`{path}`", path)


SCENARIOS = {"spark " + name: at(scenario) for name, scenario in {
    "plain": plain, "vectors": vectors, "changes": changes, "mapped by name": mapped("name"), "mapped by id": mapped("id"),
    "upgraded": upgraded, "clustered": clustered, "widened": widened, "generated": generated,
    "v2 json": checkpointed("json"), "v2 parquet": checkpointed("parquet"), "multipart": multipart, "timed": timed,
    "tracked": tracked, "shapes": shapes, "converted": converted, "cleaned": cleaned,
}.items()}
