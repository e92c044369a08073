"""Storms over what is handed over to Celery; docs/explain/celery.md says what each crash leaves.

``WPBRIDGE_SEED`` throws again what a printed seed threw. With ``--full`` every broker has the long
form. Without it RabbitMQ has each kind of harm over fewer actions, and the others have a brief one.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

import handover_storm
from brokers import BROKERS
from conftest import TOLD, needs
from seeds import seed
from servers import MariaDB


@pytest.mark.parametrize("name", BROKERS)
def test_nothing_is_lost_and_no_fence_starts_anything_twice(
    name: str,
    stormy_server: MariaDB,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    record_property: Callable[[str, object], None],
) -> None:
    missing, private = BROKERS[name]
    needs(missing())
    plan = handover_storm.FULL if name == "rabbitmq" else handover_storm.BRIEF
    if pytestconfig.getoption("--full"):
        plan = handover_storm.FULL
    elif name == "rabbitmq":
        plan = plan.shortened()
    (tmp_path / "broker").mkdir()
    (tmp_path / "storm").mkdir()
    with private(tmp_path / "broker") as broker:
        weathered = handover_storm.weather(plan, seed(), tmp_path / "storm", stormy_server, broker)
    record_property(TOLD, str(weathered))
    assert sum(weathered.statuses.values()) >= plan.actions
