"""What the rows of a table are, in a form that two readings can be compared in.

A digest covers the column names and every row, sorted, because Delta promises
no order. Rows are compared by repr, which tells null, "" and 0 apart.
"""
import hashlib


def digest(names: list[str], rows) -> str:
    order = sorted(range(len(names)), key=names.__getitem__)
    lines = [repr([names[i] for i in order])]
    lines += sorted(repr(tuple(row[i] for i in order)) for row in rows)
    text = "\n".join(lines).encode()
    return f"{len(lines) - 1} rows {hashlib.sha256(text).hexdigest()}"
