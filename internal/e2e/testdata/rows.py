"""What the rows of a Delta table are, in a form that two programs can compare.

A digest covers the column names and every row, sorted, because Delta promises
no order. Rows are compared by repr, which tells null, "" and 0 apart.
"""
import hashlib

from deltalake import DeltaTable, QueryBuilder


def rows(table: DeltaTable) -> list[str]:
    # The query engine, and not to_pyarrow_table, because only the engine reads
    # deletion vectors.
    batches = QueryBuilder().register("t", table).execute("select * from t").read_all()
    names = sorted(field.name for field in table.schema().fields)
    columns = [batches[name].to_pylist() for name in names]
    return [repr(names)] + sorted(repr(row) for row in zip(*columns))


def digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
