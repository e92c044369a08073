"""Storms: all kinds of harm over tens of thousands of actions; docs/explain/faults.md.

``WPBRIDGE_SEED`` throws again what a printed seed threw.
"""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import storm
from conftest import TOLD, needs
from namespaces import missing_namespaces
from servers import MariaDB, missing_mariadb, private_mariadb

MOST_SEEDS = 1 << 32
PLANS = {name: plan for name, plan in storm.PLANS.items() if not plan.is_long}


@pytest.fixture(scope="module")
def stormy_server() -> Iterator[MariaDB]:
    """A server that may be killed."""
    needs(missing_mariadb())
    with private_mariadb(storm.SERVER_OPTIONS, may_be_killed=True) as server:
        yield server


def seed() -> int:
    # Not from `random` itself, which the test run has seeded.
    return int(os.environ.get("WPBRIDGE_SEED") or random.SystemRandom().randrange(MOST_SEEDS))


@pytest.mark.parametrize("name", PLANS)
def test_nothing_is_lost_and_nothing_runs_twice_in_a_storm(
    name: str,
    stormy_server: MariaDB,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    plan = PLANS[name]
    if plan.has_homes:
        needs(missing_namespaces())
    weathered = storm.weather(plan, seed(), tmp_path, stormy_server)
    # Its seed shall be seen.
    record_property(TOLD, str(weathered))
    assert sum(weathered.statuses.values()) >= plan.actions


def test_the_storms_are_over_fifty_thousand_actions() -> None:
    assert sum(plan.actions for plan in PLANS.values()) >= 50_000
