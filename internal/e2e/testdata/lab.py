"""lab.py: engines that write and read tables, in one process for a run of tests.

Reads one JSON object per line from standard input, whose field "do" names a
function here and whose other fields are its arguments, and answers each with one
line: {"result": ...} or {"error": ...}. Ends with its input. All that engines
print goes to standard error.
"""
import json
import os
import sys
import threading

import deltars
import moments
import others
from engines import ABSENT, ENGINES
import spark
import sparktables

SCENARIOS = deltars.SCENARIOS | others.SCENARIOS | (sparktables.SCENARIOS if spark.JARS else {})
running = {}


def begin(scenario: str, table: str) -> None:
    running[table] = SCENARIOS[scenario](table)


def step(table: str) -> str:
    """Carries the scenario on to its next step; "" is the end."""
    return next(running[table], "")


def scenarios(prefix: str) -> list[str]:
    return [name for name in SCENARIOS if name.startswith(prefix)]


def engines() -> dict:
    return {"engines": list(ENGINES), "absent": ABSENT}


def attempt(method, *args):
    """What an engine answers; its refusal is an answer too."""
    try:
        return str(method(*args))
    except BaseException as error:  # panics of native engines are no Exceptions
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            raise
        return f"error {type(error).__name__}: {str(error)[:300]}"


def ask(engine: str, method: str, table: str, args: list[list]) -> list[str] | None:
    """Calls a method of an engine once for each list of arguments; None if the
    engine has no such method."""
    offered = getattr(ENGINES[engine], method, None)
    if offered is None:
        return None
    return [attempt(offered, table, *each) for each in args]


def times(table: str, first: int, last: int) -> list[int]:
    return moments.commit_times(table, first, last)


def sql(text: str) -> list[list]:
    return [[repr(value) for value in row] for row in spark.sql(text)]


class Maintenance(threading.Thread):
    """Maintenance by an engine while the caller does something else."""

    def __init__(self, work):
        super().__init__()
        self.work, self.rounds, self.error = work, 0, None
        self.begun, self.enough = threading.Event(), threading.Event()

    def run(self):
        try:
            for _ in self.work:
                self.rounds += 1
                self.begun.set()
                if self.enough.is_set():
                    return
        except Exception as error:
            self.error = error
        finally:
            self.begun.set()


def maintain(engine: str, table: str) -> None:
    """Starts maintenance and returns after the first round."""
    by = {"deltalake": deltars, "spark": sparktables}[engine]
    running[table] = Maintenance(by.maintenance(table))
    running[table].start()
    running[table].begun.wait()


def rounds(table: str) -> int:
    """How many rounds of maintenance there were; raises what ended it."""
    if running[table].error:
        raise running[table].error
    return running[table].rounds


def rest(table: str) -> int:
    """Ends maintenance with the round under way and returns how many there were."""
    running[table].enough.set()
    running[table].join()
    return rounds(table)


FUNCTIONS = {f.__name__: f for f in (begin, step, scenarios, engines, ask, times, sql, maintain, rounds, rest)}


def main() -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"result": FUNCTIONS[request.pop("do")](**request)}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {str(error)[:2000]}"}
        print(json.dumps(reply), file=replies, flush=True)
    spark.stop()
    os._exit(0)  # a process that ends as usual is aborted now and then by threads of Arrow's


main()
