"""How claims fare while the claim index is added: a million pending rows, another process claims.

Prints JSON: seconds the index took, and what claims took before, meanwhile and afterwards.
"""

import argparse
import json
import multiprocessing
import statistics
import threading
import time
from datetime import UTC, datetime
from typing import Any

from servers import private_mariadb
from stores import make_database, make_store, open_store, way_of
from wpbridge.migrate.schema.index_for_claims import claim_index
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.structure.definitions import Definitions

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FILL = """INSERT INTO wp_actionscheduler_actions (hook, status, scheduled_date_gmt,
    scheduled_date_local, args, schedule, group_id, priority)
    SELECT CONCAT('hook_', MOD(seq, 20)), 'pending', '2026-11-01' + INTERVAL seq SECOND,
    '2026-11-01' + INTERVAL seq SECOND, CONCAT('[', seq, ']'),
    'O:30:"ActionScheduler_SimpleSchedule":0:{}', 1, 10 FROM seq_1_to_%d"""
PLUGIN = """UPDATE wp_actionscheduler_actions t1 JOIN (SELECT action_id FROM
    wp_actionscheduler_actions WHERE claim_id = 0 AND scheduled_date_gmt <= '2026-11-24 12:00:00'
    AND status = 'pending' ORDER BY priority, attempts, scheduled_date_gmt, action_id LIMIT 25
    FOR UPDATE SKIP LOCKED) t2 ON t1.action_id = t2.action_id SET claim_id = %d"""


def claimer(dsn: str, told: Any) -> None:
    """Claims of wpbridge's own, one after another; tells when each ended and how long it took."""
    store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    store.register(host="there", boot="boot", pid=2, pid_started="2")
    while True:
        begun = time.monotonic()
        claim = store.claim_due(now=NOW, limit=25, only=ClaimFilter())
        took = time.monotonic() - begun
        told.send((time.monotonic(), took))
        if claim is not None:
            store.release(claim.actions, finished=[claim.id])


def figures(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100)
    return {
        "claims": len(times),
        "p50_ms": round(cuts[49] * 1000, 2),
        "p99_ms": round(cuts[98] * 1000, 2),
        "max_ms": round(max(times) * 1000, 2),
    }


def plugins_claim_ms(store: Any, number: int) -> float:
    begun = time.monotonic()
    store.session.run(lambda c: c.exec_driver_sql(PLUGIN % number).rowcount)
    return round((time.monotonic() - begun) * 1000, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0, help="Before, and afterwards.")
    given = parser.parse_args()
    with private_mariadb() as server:
        make_database(DatabaseAddress.from_dsn(server.url("mysql")), "bench")
        dsn = server.url("bench")
        store = make_store(DatabaseAddress.from_dsn(dsn), "wp_")
        watcher = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
        store.session.run(lambda c: c.exec_driver_sql(FILL % given.rows))
        store.session.run(lambda c: c.exec_driver_sql("ANALYZE TABLE wp_actionscheduler_actions"))
        print(json.dumps(measure(dsn, store, watcher, given.rows, given.seconds), indent=1))
        store.close()
        watcher.close()


def measure(dsn: str, store: Any, watcher: Any, rows: int, seconds: float) -> dict[str, Any]:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=claimer, args=(dsn, theirs))
    definitions = Definitions(way_of(store), way_of(watcher))
    plugin_before = plugins_claim_ms(watcher, 1_000_000_001)
    seen: list[tuple[float, float]] = []

    def listen() -> None:
        try:
            while True:
                seen.append(ours.recv())
        except EOFError:
            return

    process.start()
    theirs.close()
    threading.Thread(target=listen, daemon=True).start()
    time.sleep(seconds + 2)
    begun = time.monotonic()
    definitions.run(claim_index(definitions).add, lock_wait_seconds=5)
    ended = time.monotonic()
    time.sleep(seconds)
    alive = process.is_alive()
    process.kill()
    process.join()
    plugin_after = plugins_claim_ms(watcher, 1_000_000_002)
    used, sorts = definitions.explain_claim()
    return {
        "rows": rows,
        "index_seconds": round(ended - begun, 1),
        "no_claim_failed": alive,
        "before": figures([took for at, took in seen if at < begun]),
        "meanwhile": figures([took for at, took in seen if begun <= at - took and at <= ended]),
        "afterwards": figures([took for at, took in seen if at > ended]),
        "plugins_claim_ms": {"before": plugin_before, "afterwards": plugin_after},
        "plugins_claim_uses": used,
        "plugins_claim_sorts": sorts,
    }


if __name__ == "__main__":
    main()
