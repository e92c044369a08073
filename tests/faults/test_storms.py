"""Storms: all kinds of harm, and what must hold after each; docs/explain/faults.md.

With ``--full`` they are over tens of thousands of actions. Without it they are short: a fourth of
the actions and half of the faults. So a short storm hits fewer moments, and finds a rare fault less
often; every kind of harm is thrown, and the same must hold. ``scripts/soak`` has long ones only.
``WPBRIDGE_SEED`` throws again what a printed seed threw, in a storm of the same length.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

import storm
from conftest import TOLD, needs
from namespaces import missing_namespaces
from seeds import seed
from servers import MariaDB

PLANS = {name: plan for name, plan in storm.PLANS.items() if not plan.is_long}


@pytest.mark.parametrize("name", PLANS)
def test_nothing_is_lost_and_nothing_runs_twice_in_a_storm(
    name: str,
    stormy_server: MariaDB,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    record_property: Callable[[str, object], None],
) -> None:
    plan = PLANS[name] if pytestconfig.getoption("--full") else PLANS[name].shortened()
    if plan.has_homes:
        needs(missing_namespaces())
    weathered = storm.weather(plan, seed(), tmp_path, stormy_server)
    # Its seed shall be seen.
    record_property(TOLD, str(weathered))
    assert sum(weathered.statuses.values()) >= plan.actions


def test_the_storms_are_over_fifty_thousand_actions_and_the_short_ones_over_ten_thousand() -> None:
    assert sum(plan.actions for plan in PLANS.values()) >= 50_000
    assert sum(plan.shortened().actions for plan in PLANS.values()) >= 10_000
