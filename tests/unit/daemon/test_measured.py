"""What a supervisor tells of its processes."""

import pytest

from wpbridge.daemon.measured import Measured


@pytest.mark.parametrize(("has_places", "wanted"), [(True, {"busy": 1, "max": 4}), (False, {})])
def test_a_gateway_is_no_daemon_without_places(has_places: bool, wanted: dict[str, int]) -> None:
    measured = Measured(has_places=has_places)
    measured.look({"busy": 1, "max": 4}, 2)
    values = measured.numbers().values
    places = {labels[0]: n for (name, labels), n in values.items() if name == "wpbridge_workers"}
    assert places == wanted
    assert values["wpbridge_worker_deaths_total", ()] == 2
