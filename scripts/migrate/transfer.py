"""Copy the pending actions of one queue to another; read it and adapt it.

Usage: python transfer.py SOURCE_DSN TARGET_DSN
"""

import sys
from pathlib import Path

from wpbridge.clock import SystemClock
from wpbridge.migrate.journal import Journal, name_of
from wpbridge.migrate.transfer.copying import copy_queue
from wpbridge.migrate.transfer.files import Line
from wpbridge.migrate.transfer.taking_back import KIND
from wpbridge.migrate.transfer.wishes import Wishes
from wpbridge.queue.facade import Queue
from wpbridge.store.records import Query


def reject(line: Line, why: str) -> None:
    print(f"left out: action {line.value.get('id')}: {why}", file=sys.stderr)


source_dsn, target_dsn = sys.argv[1:]
with Queue.open(dsn=source_dsn) as source, Queue.open(dsn=target_dsn) as target:
    wanted = Query(statuses=("pending",))  # or hooks=("send_mail",), groups=("mail",), …
    wishes = Wishes(now=SystemClock().now())
    # `wpbridge migrate import --undo FILE` takes back what it tells of.
    file = Path("transfer.journal")
    with Journal(file, kind=KIND, site=name_of(target.store)) as journal:
        report = copy_queue(source.store, wanted, target.store, wishes, reject, journal=journal)
print(f"{report.added} copied, {report.known} there from before, {report.rejected} left out")
sys.exit(0 if report.is_good else 1)
