"""Tables of Polars and DuckDB. DuckDB's extension appends and no more, so
Polars makes its table."""
import polars

from deltars import ODD
from engines import ENGINES


def frame(start: int, count: int) -> polars.DataFrame:
    ids = list(range(start, start + count))
    return polars.DataFrame({
        "id": ids,
        "part": [ODD[i % len(ODD)] for i in ids],
        "text": [None if i % 5 == 0 else f"row {i}" for i in ids],
        "numbers": [[i, None, i + 1] for i in ids],
    })


def with_polars(path: str):
    frame(0, 34).write_delta(path, delta_write_options={"partition_by": ["part"]})
    yield "create"
    frame(34, 17).write_delta(path, mode="append")
    yield "append"
    (frame(40, 20).write_delta(path, mode="merge", delta_merge_options={
        "predicate": "t.id = s.id", "source_alias": "s", "target_alias": "t"})
     .when_matched_update_all().when_not_matched_insert_all().execute())
    yield "merge"
    frame(0, 5).with_columns(more=polars.lit(1.5)).write_delta(
        path, mode="append", delta_write_options={"schema_mode": "merge"})
    yield "append with another column"
    frame(0, 3).write_delta(path, mode="overwrite", delta_write_options={"schema_mode": "overwrite"})
    yield "overwrite"


def with_duckdb(path: str):
    polars.DataFrame({"id": [1, 2], "text": ["a", None]}).write_delta(path)
    yield "create"
    for i in range(3):
        ENGINES["duckdb"].append(path, f"select {i} + range, 'row ' || range from range(20)")
        yield "append"


SCENARIOS = {"polars": with_polars, "duckdb": with_duckdb}
