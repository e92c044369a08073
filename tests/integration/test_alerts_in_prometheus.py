"""A real Prometheus scrapes wpbridge's metrics, with the shipped rules, and raises an alert."""

import json
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

import alert_rules
from conftest import needs
from daemons import until
from wpbridge.telling.counting import Numbers
from wpbridge.telling.exposition import text_of

FOLDER = alert_rules.FILE.parent


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


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[int]:
    """Prometheus with the shipped files, but for the port and how often it looks; its own port."""
    program = shutil.which("prometheus")
    needs(None if program else "prometheus is missing (scripts/setup servers installs it)")
    settings = yaml.safe_load((FOLDER / "prometheus.yaml").read_text("utf-8"))
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
    shutil.copy(FOLDER / "rules.yaml", folder)
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings))
    port = free_port()
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen(
            [
                str(program),
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stderr=log,
        )
    try:
        yield port
    finally:
        running.terminate()
        running.wait()


def alerts(port: int) -> list[dict[str, Any]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/alerts", timeout=60) as answer:
            told = json.load(answer)
    except (urllib.error.URLError, ConnectionError):
        return []
    return [one for one in told["data"]["alerts"] if one["state"] == "firing"]


def test_a_failing_hook_raises_an_alert(tmp_path: Path) -> None:
    with failing_site() as target, prometheus(tmp_path, target) as port:
        [alert] = until(lambda: alerts(port), (tmp_path / "log").read_text, pause=0.1)
    labels = {"alertname": "FailRatio", "hook": "mail", "site": "shop", "severity": "warning"}
    assert alert["labels"] == {**labels, "service": "wpbridge"}
    assert alert["annotations"]["summary"] == (
        "100% of the actions of the hook mail that ended in 15 minutes failed."
    )
