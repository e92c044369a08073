"""The storms of tests/faults, round after round with fresh seeds, until the time is up.

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
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import storm
from namespaces import missing_namespaces
from servers import missing_mariadb, private_mariadb

MOST_SEEDS = 1 << 32


def main() -> int:
    parser = argparse.ArgumentParser(description="Storms over queues until the time is up.")
    parser.add_argument("--minutes", type=float, required=True, help="start no round after this")
    parser.add_argument("--seed", type=int, help="of the first round; the others follow from it")
    parser.add_argument("--scenario", choices=storm.PLANS, help="only this one")
    wanted = parser.parse_args()
    if reason := missing_mariadb():
        print(f"soak: {reason}", file=sys.stderr)
        return 78
    os.environ.pop("WPBRIDGE_SEED", None)
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


if __name__ == "__main__":
    sys.exit(main())
