"""A real Prometheus scrapes wpbridge's metrics, with the shipped rules, and raises an alert."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import prometheus
from daemons import until
from wpbridge.monitor.endpoint import DEFAULT_LISTEN
from wpbridge.telling.counting import Numbers
from wpbridge.telling.exposition import text_of


@contextmanager
def failing_site() -> Iterator[int]:
    """Metrics in which a hook has failed once more at each scrape; its port."""
    numbers = Numbers()
    numbers.set("wpbridge_scrape_success", value=1)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            numbers.add("wpbridge_actions_failed_total", "", "mail", "wpbridge", "error")
            body = text_of(numbers, site="shop")
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_failing_hook_raises_an_alert(tmp_path: Path) -> None:
    with (
        failing_site() as port,
        prometheus.started(tmp_path, {DEFAULT_LISTEN: f"127.0.0.1:{port}"}) as server,
    ):
        [alert] = until(server.firing, (tmp_path / "log").read_text, pause=0.1)
    labels = {"alertname": "FailRatio", "hook": "mail", "site": "shop", "severity": "warning"}
    assert alert["labels"] == {**labels, "service": "wpbridge"}
    assert alert["annotations"]["summary"] == (
        "100% of the actions of the hook mail that ended in 15 minutes failed."
    )
