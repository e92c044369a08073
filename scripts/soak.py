"""The storms of tests/faults, round after round with fresh seeds, until the time is up.

With --celery it is one storm over each broker, or over those that --broker names. Each ends when
all of its actions have ended, or at the end of its share of the time.

A line a round. The first broken promise ends it with exit code 1, its seed, and the folder that
holds the evidence: what the handlers recorded, the daemons' logs, and a dump of the tables.
"""

import argparse
import itertools
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import handover_storm
import storm
from brokers import BROKERS
from namespaces import missing_namespaces
from servers import missing_mariadb, private_mariadb

MOST_SEEDS = 1 << 32


def main() -> int:
    parser = argparse.ArgumentParser(description="Storms over queues until the time is up.")
    parser.add_argument("--minutes", type=float, required=True, help="start no round after this")
    parser.add_argument("--seed", type=int, help="of the first round; the others follow from it")
    parser.add_argument("--scenario", choices=storm.PLANS, help="only this one")
    parser.add_argument("--celery", action="store_true", help="storms over what Celery runs")
    parser.add_argument("--actions", type=int, default=100_000, help="of each broker, at most")
    parser.add_argument("--broker", action="append", choices=BROKERS, help="only this one")
    wanted = parser.parse_args()
    if reason := missing_mariadb():
        print(f"soak: {reason}", file=sys.stderr)
        return 78
    os.environ.pop("WPBRIDGE_SEED", None)
    if wanted.celery:
        names = wanted.broker or list(BROKERS)
        return soak_celery(names, wanted.minutes * 60, wanted.seed, wanted.actions)
    names = [wanted.scenario] if wanted.scenario else list(storm.PLANS)
    if reason := missing_namespaces():
        print(f"soak: without storms in namespaces: {reason}", file=sys.stderr)
        names = [name for name in names if not storm.PLANS[name].has_homes]
        if not names:
            return 78
    return soak(names, wanted.minutes * 60, wanted.seed)


def soak(names: list[str], seconds: float, first: int | None) -> int:
    seed = random.SystemRandom().randrange(MOST_SEEDS) if first is None else first
    end, rounds, actions = time.monotonic() + seconds, 0, 0
    with private_mariadb(storm.SERVER_OPTIONS, may_be_killed=True) as server:
        for name in itertools.cycle(names):
            folder = Path(tempfile.mkdtemp(prefix=f"soak-{name}-"))
            try:
                weathered = storm.weather(storm.PLANS[name], seed, folder, server)
            except Exception:  # noqa: BLE001 - whatever it was, the seed repeats it
                traceback.print_exc()
                print(f"soak: {name} seed={seed} broke; evidence in {folder}", flush=True)
                return 1
            shutil.rmtree(folder)
            rounds += 1
            actions += sum(weathered.statuses.values())
            print(weathered, flush=True)
            if time.monotonic() >= end:
                print(f"soak: {rounds} rounds, {actions} actions, nothing broken", flush=True)
                return 0
            seed = random.Random(seed).randrange(MOST_SEEDS)  # noqa: S311 - to be repeated
    raise AssertionError("there is always a next round")


def soak_celery(names: list[str], seconds: float, first: int | None, actions: int) -> int:
    seed = random.SystemRandom().randrange(MOST_SEEDS) if first is None else first
    throw, code = handover_storm.for_long(seconds / len(names)), 0
    with private_mariadb(storm.SERVER_OPTIONS, may_be_killed=True) as server:
        for name in names:
            missing, private = BROKERS[name]
            if reason := missing():
                print(f"soak: without {name}: {reason}", file=sys.stderr)
                continue
            plan = replace(handover_storm.FULL, actions=actions, throw=throw)
            folder = Path(tempfile.mkdtemp(prefix=f"soak-{name}-"))
            (folder / "broker").mkdir()
            (folder / "storm").mkdir()
            try:
                with private(folder / "broker") as broker:
                    told = handover_storm.weather(plan, seed, folder / "storm", server, broker)
            except Exception:  # noqa: BLE001 - whatever it was, the seed repeats it
                traceback.print_exc()
                print(f"soak: {name} seed={seed} broke; evidence in {folder}", flush=True)
                code = 1
                continue
            shutil.rmtree(folder)
            print(told, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
