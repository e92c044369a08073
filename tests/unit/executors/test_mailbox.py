"""Where the runner waits for reports: the wait ends in time, whatever happens to the process."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from daemons import until
from executor_runs import make_call
from wpbridge.clock import SystemClock
from wpbridge.executors.base import Mailbox, Report, unstarted

PACKAGE = Path(__file__).parent.parent.parent.parent / "wpbridge"
LONG = 600.0
WAITS = """
import signal
from wpbridge.executors.base import Mailbox

signal.signal(signal.SIGCONT, lambda _number, _frame: None)
mailbox = Mailbox()
while True:
    mailbox.take(0.05)
    print("waited", flush=True)
"""


def report(number: int) -> Report:
    return unstarted(make_call("h", action_id=number), SystemClock().now())


def test_reports_come_in_order_and_once() -> None:
    mailbox = Mailbox()
    first, second, third = map(report, (1, 2, 3))
    mailbox.put(first, second)
    mailbox.put(third)
    assert mailbox.take(LONG) == [first, second, third]
    assert mailbox.take(0.0) == []


def test_a_report_ends_the_wait_of_another_thread() -> None:
    mailbox, one = Mailbox(), report(1)
    threading.Thread(target=mailbox.put, args=[one]).start()
    assert mailbox.take(LONG) == [one]


def test_a_wake_ends_a_wait_without_a_report() -> None:
    mailbox = Mailbox()
    mailbox.wake()
    mailbox.wake()
    assert mailbox.take(LONG) == []


def test_a_wait_ends_in_time_after_the_process_was_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        try:
            until(process.stdout.read, "a wait that has ended")
            # When it is stopped for longer than it meant to wait
            process.send_signal(signal.SIGSTOP)
            until(lambda: state_of(process.pid) == "T", "a stopped process")
            over = time.monotonic() + 0.2
            until(lambda: time.monotonic() > over, "the time in which it meant to wait")
            process.stdout.read()
            process.send_signal(signal.SIGCONT)
            # Then it goes on, again and again
            for _ in range(3):
                until(process.stdout.read, "another wait that has ended")
        finally:
            process.kill()


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_no_wait_with_a_timeout_trusts_a_simple_queue() -> None:
    """CPython 3.11 and 3.12 have it wait for ever if a signal interrupts it past its timeout."""
    texts = {file: file.read_text("utf-8") for file in PACKAGE.rglob("*.py")}
    simple = {file for file, text in texts.items() if "SimpleQueue(" in text}
    assert simple
    assert [file for file in simple if re.search(r"\.get\((timeout|True)", texts[file])] == []
