"""A queue that daemons in containers work on: its handlers, and the way to its database."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from daemons import until
from factories import make_new
from rows import column
from wpbridge.clock import SystemClock
from wpbridge.store.running.runner_store import RunnerStore

SOCKET = "/run/mysqld/mysqld.sock"
"""Where a container finds the socket of the test's MariaDB."""
HANDLERS = """
import json, locale, os, sys
from datetime import datetime
from zoneinfo import ZoneInfo
from wpbridge import hook

@hook("look")
def look():
    status = open("/proc/self/status").read()
    seen = {
        "user": [os.getuid(), os.getgid()],
        "rights": [line for line in status.splitlines() if line.startswith("CapEff")],
        "encoding": [sys.getfilesystemencoding(), locale.getpreferredencoding()],
        "zone": str(datetime(2026, 7, 1, tzinfo=ZoneInfo("Europe/Rome")).utcoffset()),
        "own_zone": datetime.now().astimezone().tzname(),
        "process_1": open("/proc/1/comm").read().strip(),
    }
    with open("/tmp/seen.json", "w") as stream:
        json.dump(seen, stream)

@hook("leave_a_child")
def leave_a_child():
    if os.fork() == 0:
        if os.fork() == 0:
            os.execv("/bin/true", ["left-behind"])
        os._exit(0)
    os.wait()

@hook("wait_at_the_gate")
def wait_at_the_gate():
    with open("/tmp/gate") as gate:
        gate.read()
"""


def handlers_in(folder: Path) -> Path:
    """A folder with the handlers, which every user may read."""
    place = folder / "handlers"
    place.mkdir()
    (place / "hooks.py").write_text(HANDLERS, "utf-8")
    folder.chmod(0o755)
    return place


def socket_of(dsn: str) -> Path:
    return Path(parse_qs(urlsplit(dsn).query)["unix_socket"][0])


def within(dsn: str) -> str:
    """The same database, as a container reaches it."""
    return dsn.replace(str(socket_of(dsn)), SOCKET)


def completed(store: RunnerStore, hook: str) -> int:
    """Add an action, and wait until it is complete."""
    action_id = add(store, hook)
    until(lambda: column(store, "status", action_id) == "complete", f"{hook} is complete")
    return action_id


def add(store: RunnerStore, hook: str) -> int:
    now = SystemClock().now()
    [action_id] = store.insert([make_new(hook, now=now)], now=now)
    return int(action_id)
