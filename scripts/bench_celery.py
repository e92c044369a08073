"""The hand-over to Celery: relaying, from the claim to the handler, four processes, and no tables.

On a MariaDB that flushes to disk at each commit, and on real brokers of their own. Prints one JSON
object.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bench_queue import fresh
from brokers import Broker, private_rabbitmq, private_redis
from daemons import until
from handover import Handover, handing_over
from servers import DISK, MariaDB, private_mariadb
from wpbridge.executors.celery.opening import open_broker
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.site.config import load

HANDLERS = """
import os, time
from wpbridge import hook

STAMPS = os.open("stamps", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def stamp(number):
    os.write(STAMPS, f"{number} {time.time()!r}\\n".encode())

@hook("bench_quick")
def quick(number):
    stamp(number)

@hook("bench_sleep")
def sleep(number):
    stamp(number)
    time.sleep(0.02)
"""
SLEEP_SECONDS = 0.02
LONGEST_SECONDS = 180.0


@contextlib.contextmanager
def handover(server: MariaDB, broker: Broker, name: str, **celery: Any) -> Iterator[Handover]:
    """A queue in a new database, and a folder with handlers and settings."""
    fresh(server, name).close()
    with (
        tempfile.TemporaryDirectory(prefix="wpb-", dir="/tmp") as folder,
        handing_over(
            Path(folder), server.url(name), broker, env={"WPBRIDGE_DRIVER": "auto"}
        ) as found,
    ):
        (Path(folder) / "acts.py").write_text(HANDLERS, encoding="utf-8")
        found.settings(handlers="acts", **{"resend_after": "60s", **celery})
        yield found


def add(found: Handover, hook: str, count: int) -> None:
    with Queue.open(dsn=found.dsn, env={}) as queue:
        queue.enqueue_many(Enqueue(hook=hook, args=[n], group="bench") for n in range(count))


def stamps(found: Handover) -> list[tuple[int, float]]:
    """The starts of handlers: number, and Unix seconds."""
    file = found.folder / "stamps"
    lines = file.read_text("ascii").splitlines() if file.exists() else []
    return [(int(number), float(at)) for number, _, at in (line.partition(" ") for line in lines)]


def relaying(server: MariaDB, broker: Broker, count: int) -> dict[str, object]:
    """Actions a second that are claimed, published and confirmed, with nobody to start them."""
    with handover(server, broker, "relaying", window=100_000) as found:
        add(found, "bench_quick", count)
        found.start(["-m", "wpbridge", "relay"], "relay")
        first = count // 10

        def at(depth: int) -> float:
            until(lambda: broker.depth(found.queue) >= depth, f"{depth} messages", LONGEST_SECONDS)
            return time.perf_counter()

        begin, end = at(first), at(count)
        broker.flush()
        return {"actions": count, "per_second": round((count - first) / (end - begin))}


def latency(server: MariaDB, broker: Broker, times: int) -> dict[str, object]:
    """From the claim of a single action to the start of its handler, with idle workers."""
    with handover(server, broker, "latency") as found:
        found.worker(concurrency=2)
        relay = found.relay("-v", "--log-format", "json")
        waits, wholes = [], []
        with Queue.open(dsn=found.dsn, env={}) as queue:
            for number in range(times):
                before = time.time()
                queue.enqueue(Enqueue(hook="bench_quick", args=[number], group="bench"))
                started_by(found, number + 1)
                relay.logged('"claim.made"', number + 1)
                claims = [json.loads(x) for x in relay.log().splitlines() if '"claim.made"' in x]
                claimed = datetime.fromisoformat(claims[-1]["ts"]).timestamp()
                started = stamps(found)[-1][1]
                waits.append(started - claimed)
                wholes.append(started - before)
                found.drained()
        return {
            "times": times,
            "claim_to_handler_ms": _spread(waits),
            "enqueue_to_handler_ms": _spread(wholes),
        }


def started_by(found: Handover, count: int) -> None:
    """Wait until so many actions have started."""
    until(lambda: len(stamps(found)) >= count, "a start", 60.0)


def _spread(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "p50": round(statistics.median(ordered) * 1000, 1),
        "p95": round(ordered[int(len(ordered) * 0.95)] * 1000, 1),
    }


def processes(server: MariaDB, broker: Broker, each: int) -> dict[str, object]:
    """Actions a second of a handler that sleeps 20 ms, with one process and with four."""
    found_of: dict[str, object] = {"sleep_ms": SLEEP_SECONDS * 1000}
    rates = {}
    for count in (1, 4):
        with handover(server, broker, f"processes_{count}") as found:
            found.worker(concurrency=count)
            found.relay()
            add(found, "bench_sleep", each * count)
            found.drained(LONGEST_SECONDS)
            starts = sorted(at for _, at in stamps(found))
            rates[count] = (len(starts) - count) / (starts[-1] - starts[0])
            found_of[f"per_second_{count}"] = round(rates[count], 1)
    found_of["four_to_one"] = round(rates[4] / rates[1], 2)
    return found_of


def through(server: MariaDB, broker: Broker, count: int) -> dict[str, object]:
    """Actions a second that are enqueued through the broker and confirmed."""
    with handover(server, broker, "through") as found:
        routes = [{"hook": "*", "to": "celery"}]
        with Queue.open(dsn=found.dsn, env={}, celery_broker=broker.url, routes=routes) as queue:
            queue.enqueue(Enqueue(hook="bench_quick"), through="celery")
            begin = time.perf_counter()
            sent = queue.enqueue_many(
                (Enqueue(hook="bench_quick", args=[n]) for n in range(count)), through="celery"
            )
            seconds = time.perf_counter() - begin
            is_sent = all(one.action_id is None for one in sent)
            begin = time.perf_counter()
            for number in range(500):
                queue.enqueue(Enqueue(hook="bench_quick", args=[number]), through="celery")
            alone = time.perf_counter() - begin
        depth = broker.depth(found.queue)
        broker.flush()
        return {
            "actions": count,
            "per_second": round(count / seconds),
            "one_by_one_per_second": round(500 / alone),
            "all_confirmed": is_sent and depth == count + 501,
        }


def running(server: MariaDB, broker: Broker, count: int) -> dict[str, object]:
    """Actions a second that do nothing, through relay, broker and two processes of a worker."""
    with handover(server, broker, "running") as found:
        found.worker(concurrency=2)
        found.relay()
        add(found, "bench_quick", count)
        found.drained(LONGEST_SECONDS)
        starts = sorted(at for _, at in stamps(found))
        return {"actions": count, "per_second": round(len(starts) / (starts[-1] - starts[0]))}


def publishing(broker: Broker, count: int) -> dict[str, object]:
    """What the broker alone takes, with messages of 200 bytes that are confirmed in batches."""
    from wpbridge.executors.celery.messages import Wake, wake  # noqa: PLC0415

    one = open_broker(load({"dsn": "sqlite:///none", "celery_broker": broker.url}, {}, Path.cwd()))
    told = [
        wake(Wake("site", n + 1, 1, "1.abcdefabcdef"), queue="bench", hook="bench")
        for n in range(count)
    ]
    begin = time.perf_counter()
    one.publish(told)
    seconds = time.perf_counter() - begin
    one.close()
    broker.flush()
    return {"messages": count, "per_second": round(count / seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Seconds instead of minutes.")
    options = parser.parse_args()
    part = 10 if options.quick else 1
    found: dict[str, object] = {}
    brokers: dict[str, Callable[[Path], contextlib.AbstractContextManager[Broker]]] = {
        "rabbitmq": private_rabbitmq,
        "redis": lambda folder: private_redis(folder, appendonly=True),
    }
    # On a real disk, and with the server's default: a flush at each commit.
    with private_mariadb(may_be_killed=True) as server:
        for name, private in brokers.items():
            with tempfile.TemporaryDirectory(dir=DISK) as folder, private(Path(folder)) as broker:
                found[name] = {
                    "publishing": publishing(broker, 20_000 // part),
                    "relaying": relaying(server, broker, 20_000 // part),
                    "latency": latency(server, broker, 200 // part),
                    "processes": processes(server, broker, 500 // part),
                    "running": running(server, broker, 5_000 // part),
                    "through": through(server, broker, 20_000 // part),
                }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
