"""The times of versions as Delta counts them, in milliseconds since 1970 UTC."""
import json
import os


def commit_times(path: str, first: int, last: int) -> list[int]:
    times = []
    for version in range(first, last + 1):
        name = os.path.join(path, "_delta_log", f"{version:020}.json")
        with open(name, encoding="utf-8") as commit:
            info = json.loads(commit.readline()).get("commitInfo", {})
        at = os.stat(name).st_mtime_ns // 1_000_000
        if times:
            at = max(at, times[-1] + 1)
        times.append(info.get("inCommitTimestamp", at))
    return times
