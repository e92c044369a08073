"""What looking at many sites costs: one round of `sites status`, the exporter, and the dashboard.

Each site is a database of one private MariaDB, with some actions. Prints one JSON object.
"""

import argparse
import contextlib
import json
import re
import resource
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests

from bench_metrics import scrape, scrape_anew
from daemons import until
from process_costs import children_of, cpu_seconds, pss_mib
from servers import MariaDB, private_mariadb
from stores import make_store
from wpbridge import Queue
from wpbridge.access import user_changes
from wpbridge.site.database import DatabaseAddress

PASSWORD = secrets.token_hex()
WPBRIDGE = (sys.executable, "-m", "wpbridge")
SCRAPES = 20
OPENED = 60
"""So many sites are opened one after the other."""
LONGEST_SECONDS = 600.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--sites", type=int, default=300)
    arguments.add_argument("--quick", action="store_true", help="Few sites, and no long run.")
    arguments.add_argument("--minutes", type=float, default=2.0, help="How long the exporter runs.")
    arguments.add_argument("--only", choices=("status", "exporter", "dashboard"))
    told = arguments.parse_args()
    if told.quick:
        told.sites, told.minutes = 20, 0.1
    with tempfile.TemporaryDirectory(prefix="wpbridge-bench-") as name, private_mariadb() as server:
        file = make_sites(Path(name), server, told.sites)
        parts = {
            "status": lambda: status(file),
            "exporter": lambda: exporter(file, told.sites, told.minutes),
            "dashboard": lambda: dashboard(file, told.sites),
        }
        wanted = [told.only] if told.only else list(parts)
        found = {"sites": told.sites, **{name: parts[name]() for name in wanted}}
    print(json.dumps(found, indent=1))


def make_sites(folder: Path, server: MariaDB, count: int) -> Path:
    """Make a list of sites, each with five actions that are due soon."""
    rows, due = [], datetime.now(UTC) + timedelta(hours=1)
    with server.connect() as root, root.cursor() as cursor:
        for number in range(count):
            cursor.execute(f"CREATE DATABASE site{number}")
            dsn = server.url(f"site{number}")
            store = make_store(DatabaseAddress.from_dsn(dsn), "wp_")
            queue = Queue(store.parts, close_store=False)
            for minute in range(5):
                queue.schedule_single(due + timedelta(minutes=minute), "bench", [minute])
            if number == 0:
                user_changes.add(store.parts, "anna", PASSWORD, role="admin", who="cli:bench")
            store.close()
            rows.append(f'[[sites]]\nname = "site{number}"\ndsn = "{dsn}"\n')
    file = folder / "sites.toml"
    file.write_text("".join(rows))
    return file


def status(file: Path) -> dict[str, float]:
    """One `wpbridge sites status`."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [*WPBRIDGE, "sites", "status", "--sites", str(file), "--format", "json"]
    done = subprocess.run(command, capture_output=True, check=True)
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    looks = json.loads(done.stdout)
    assert all(look["state"] == "idle" for look in looks)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 2), "cpu_ms_a_site": round(1000 * cpu / len(looks), 1)}


@contextlib.contextmanager
def started(*words: str, ready: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a command until the end of the block; yield it, and the host and port it listens on."""
    process = subprocess.Popen([*WPBRIDGE, *words], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        address = ""
        for line in process.stderr:
            if found := re.search(rf"{ready} http://([^/\s]+)", line):
                address = found[1]
                break
        assert address, "it has not started"
        yield process, address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def exporter(file: Path, sites: int, minutes: float) -> dict[str, float]:
    """`wpbridge exporter --sites`, some minutes after its first round."""
    words = ("exporter", "--sites", str(file), "--listen", "127.0.0.1:0")
    with started(*words, ready="metrics at") as (process, address):
        until(
            lambda: scrape(address)[1].count("\nwpbridge_scrape_success{") == sites,
            "a look at each site",
            LONGEST_SECONDS,
            pause=1.0,
        )
        family = family_of(process.pid)
        before = cpu_seconds_of(family)
        time.sleep(60 * minutes)
        cpu = cpu_seconds_of(family) - before
        times = [1000 * scrape_anew(address) for _ in range(SCRAPES)]
        return {
            "scrape_ms": round(statistics.median(times), 1),
            "scrape_ms_most": round(max(times), 1),
            "scrape_kb": round(len(scrape(address)[1]) / 1024),
            "memory_mb": pss_mib(family),
            "cpu_percent": round(100 * cpu / (60 * minutes), 1),
        }


def dashboard(file: Path, sites: int) -> dict[str, float]:
    """`wpbridge serve --sites`: the index, and sites that are opened one after the other."""
    words = ("serve", "--sites", str(file), "--home", "site0", "--listen", "127.0.0.1:0")
    with started(*words, ready="listening on") as (process, place):
        address = f"http://{place}"
        begun = pss_mib([process.pid])
        session = requests.Session()
        form = {"username": "anna", "password": PASSWORD}
        session.post(f"{address}/sites/sign-in", form, headers={"Origin": address})
        until(
            lambda: 'class="badge mute">new' not in session.get(f"{address}/sites/").text,
            "a look at each site",
            LONGEST_SECONDS,
            pause=0.2,
        )
        times, before = [], cpu_seconds_of([process.pid])
        for _ in range(SCRAPES):
            begin = time.perf_counter()
            answer = session.get(f"{address}/sites/")
            times.append(1000 * (time.perf_counter() - begin))
            answer.raise_for_status()
        index_cpu = cpu_seconds_of([process.pid]) - before
        with_index = pss_mib(family_of(process.pid))
        opened = min(OPENED, sites - 1)
        opening, before = [], cpu_seconds_of([process.pid])
        for number in range(1, 1 + opened):
            begin = time.perf_counter()
            requests.get(f"{address}/s/site{number}/", allow_redirects=False, timeout=60)
            opening.append(1000 * (time.perf_counter() - begin))
        open_cpu = cpu_seconds_of([process.pid]) - before
        return {
            "index_cpu_ms": round(1000 * index_cpu / SCRAPES, 1),
            "open_site_cpu_ms": round(1000 * open_cpu / opened, 1),
            "index_ms": round(statistics.median(times), 1),
            "index_kb": round(len(answer.content) / 1024),
            "open_site_ms": round(statistics.median(opening), 1),
            "memory_mb_begun": begun,
            "memory_mb_with_index": with_index,
            "memory_mb_with_16_sites": pss_mib(family_of(process.pid)),
        }


def family_of(pid: int) -> list[int]:
    """Return a process and its children. The copies that look at one site are children of these."""
    return [pid, *children_of(pid)]


def cpu_seconds_of(pids: list[int]) -> float:
    """Return the processor time of processes and of their children that have ended."""
    return sum(cpu_seconds(pid, with_ended_children=True) for pid in pids)


if __name__ == "__main__":
    main()
