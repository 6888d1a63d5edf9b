"""write.py SCENARIO TABLE: write a table, one commit at a time.

After each step it prints one JSON line and waits for one line on standard
input, so that the caller can push exactly this state. A line names the step and
each new version with its number of rows and digest, taken from the source at
this moment: later steps may vacuum what it needs. The last line holds what the
source answers for points in time around each commit.
"""
import json
import os
import sys
from datetime import datetime, timedelta, timezone

from deltalake import DeltaTable

from rows import digest, rows
from scenarios import SCENARIOS


def commit_time(path: str, version: int) -> datetime:
    name = os.path.join(path, "_delta_log", f"{version:020}.json")
    return datetime.fromtimestamp(os.stat(name).st_mtime_ns // 1_000_000 / 1000, timezone.utc)


def describe(path: str, version: int) -> dict:
    lines = rows(DeltaTable(path, version=version))
    return {"version": version, "rows": len(lines) - 1, "digest": digest(lines)}


def moments(path: str, last: int) -> list[dict]:
    table, answers = DeltaTable(path), []
    for version in range(1, last + 1):
        for shift in (-1, 0, 1):
            at = commit_time(path, version) + timedelta(milliseconds=shift)
            table.load_as_version(at)
            answers.append({"at": at.isoformat(), "version": table.version()})
    return answers


def main(scenario: str, path: str) -> None:
    last = -1
    for step in SCENARIOS[scenario](path):
        tip = DeltaTable(path).version()
        versions = [describe(path, v) for v in range(last + 1, tip + 1)]
        last = tip
        print(json.dumps({"step": step, "versions": versions}), flush=True)
        if not sys.stdin.readline():
            sys.exit("the caller went away")
    print(json.dumps({"moments": moments(path, last)}), flush=True)


main(*sys.argv[1:])
