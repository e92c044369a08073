"""A real Prometheus scrapes a real daemon, with the shipped rules, and raises an alert."""

import re
from pathlib import Path

import prometheus
from cli_helpers import Site
from daemons import Daemon, until
from wpbridge.monitor.endpoint import DEFAULT_LISTEN

FAILING = """
from wpbridge import hook

@hook("mail")
def mail():
    raise ValueError("no")
"""


def test_the_first_failure_of_a_hook_raises_an_alert(lite: Site, tmp_path: Path) -> None:
    (lite.folder / "acts.py").write_text(FAILING)
    daemon = Daemon(lite.folder, lite.dsn, "--metrics", "127.0.0.1:0", env={})
    try:
        place = until(
            lambda: re.search(r"metrics at http://(\S+)/metrics", daemon.err()), "metrics"
        )
        folder = tmp_path / "prometheus"
        folder.mkdir()
        with prometheus.started(folder, {DEFAULT_LISTEN: place[1]}) as server:
            # It has looked before the hook fails, so it sees that the counter is new.
            up = 'up{job="wpbridge"} == 1'
            until(lambda: server.query(up), (folder / "log").read_text, pause=0.1)
            lite.ok("enqueue", "mail")
            [alert] = until(server.firing, (folder / "log").read_text, pause=0.1)
    finally:
        daemon.end()
    labels = {"alertname": "FailRatio", "hook": "mail", "severity": "warning"}
    assert {**alert["labels"], "site": ""} == {**labels, "service": "wpbridge", "site": ""}
    assert alert["labels"]["site"].endswith("lite.db")
    assert alert["annotations"]["summary"] == (
        "100% of the actions of the hook mail that ended in 15 minutes failed."
    )
