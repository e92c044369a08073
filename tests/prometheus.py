"""A Prometheus of its own for a test, on loopback, with its data in the test's folder."""

import json
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from conftest import ROOT, needs
from daemons import until

SETTINGS: Final = ROOT / "wpbridge" / "deploy" / "prometheus"
MISSING: Final = (
    None
    if shutil.which("prometheus") and shutil.which("promtool")
    else "Prometheus is not installed (apt-get install prometheus)"
)
_SCRAPE = re.compile(r"^( *(?:scrape|evaluation)_interval: ).*$", re.MULTILINE)


class Prometheus:
    """A server that runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression, each with its labels and its value of now."""
        data = urllib.parse.urlencode({"query": expression}).encode()
        with urllib.request.urlopen(f"{self.url}/api/v1/query", data) as answer:  # noqa: S310
            told = json.load(answer)
        assert told["status"] == "success", told
        result = told["data"]["result"]
        assert isinstance(result, list)
        return result

    def firing(self) -> list[dict[str, Any]]:
        """The alerts that fire."""
        with urllib.request.urlopen(f"{self.url}/api/v1/alerts") as answer:  # noqa: S310
            told = json.load(answer)
        return [one for one in told["data"]["alerts"] if one["state"] == "firing"]

    def value(self, expression: str) -> float | None:
        """The value of an expression with one series; None while there is none."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None


@contextmanager
def started(
    folder: Path, targets: Mapping[str, str], scrape: str = "1s", *, shipped: Path = SETTINGS
) -> Iterator[Prometheus]:
    """Start it with the settings and rules that wpbridge ships.

    Args:
        folder: for its settings and data.
        targets: instead of the shipped ones, the others.
        scrape: how often it scrapes.
        shipped: where the settings and rules lie.
    """
    needs(MISSING)
    shutil.copytree(shipped, folder / "etc")
    settings = folder / "etc" / "prometheus.yaml"
    text = _SCRAPE.sub(rf"\g<1>{scrape}", settings.read_text("utf-8"))
    for named, real in targets.items():
        assert named in text
        text = text.replace(named, real)
    settings.write_text(text, "utf-8")
    flags = f"--config.file={settings} --storage.tsdb.path={folder / 'data'}"
    with (folder / "log").open("wb") as log_file:
        process = subprocess.Popen(
            ["prometheus", *flags.split(), "--web.listen-address=127.0.0.1:0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log_file,
        )

    def listens() -> re.Match[str] | None:
        log = (folder / "log").read_text("utf-8")
        assert process.poll() is None, log
        listening = re.search(r'msg="Listening on" address=(\S+)', log)
        return listening if "Server is ready" in log else None

    try:
        server = Prometheus(f"http://{until(listens, 'Prometheus listens')[1]}")
        yield server
    finally:
        process.terminate()
        process.wait()
