"""The page that leads from nothing to numbers in Grafana, followed line by line."""

import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Final

import prometheus
from conftest import ROOT, needs
from daemons import until
from fences import fences
from page_shell import Shell, write_files
from wpbridge.monitor.endpoint import DEFAULT_LISTEN

PAGE: Final = ROOT / "docs" / "how-to" / "monitor.md"
WORDPRESS: Final = "--path /var/www/html "
PROMETHEUS: Final = "127.0.0.1:9090"


def test_the_page_is_followed_from_an_empty_folder(tmp_path: Path) -> None:
    needs(prometheus.MISSING)
    needs(None if shutil.which("curl") else "curl is not installed (apt-get install curl)")
    folder = tmp_path / "shop"
    folder.mkdir(mode=0o700)
    shell = Shell(folder)
    write_files(PAGE, folder)
    told = [fence.text for fence in fences(PAGE) if fence.language == "sh"]
    install, make, work, add, look, deploy, server, ask, exporter = told
    assert install == "pip install 'wpbridge[metrics]'"
    shell.run(make)
    with shell.started(work, "--metrics", "127.0.0.1:0") as line:
        address = line.split("//")[1].removesuffix("/metrics\n")
        shell.run(add)
        look = look.replace(DEFAULT_LISTEN, address)
        until(lambda: counted(shell.run(f"{look} || true")) == {"completed": 1, "failed": 1}, look)
        write, password, docker = deploy.splitlines()
        shell.run(f"{write}\n{password}")
        deployment = folder / "my-deployment"
        assert re.fullmatch(
            r"GRAFANA_PASSWORD=[0-9a-f]{24}\n", (deployment / "docker" / ".env").read_text()
        )
        assert (folder / docker.split()[3]).is_file()
        words = server.split()
        settings = folder / words[1].removeprefix("--config.file=")
        assert words == ["prometheus", words[1], f"--web.listen-address={PROMETHEUS}"]
        with prometheus.started(
            tmp_path, {DEFAULT_LISTEN: address}, shipped=settings.parent
        ) as running:
            ask = ask.replace(f"http://{PROMETHEUS}", running.url)
            until(lambda: "=> 1 @" in shell.run(ask), ask)
            for asked in panels(deployment, {"Tables", "Due", "Places"}, site_of(running)):
                until(partial(running.query, asked), asked)
    [cron] = [one.text for one in fences(PAGE) if "--metrics-textfile" in one.text]
    run = cron.removeprefix("* * * * * ").replace("/var/lib/prometheus/node-exporter/", "")
    shell.run(run.replace(WORDPRESS, ""))
    assert "wpbridge_claims_total{" in (folder / "shop.prom").read_text("utf-8")
    with shell.started(exporter.replace(WORDPRESS, ""), "--listen", "127.0.0.1:0") as line:
        assert "wpbridge_scrape_success{" in shell.run(f"curl -s {line.split()[-1]}")


def counted(text: str) -> dict[str, float]:
    """What the counters in a text say, by what they count."""
    found = re.findall(r"^wpbridge_actions_(\w+)_total\{.*\} (.*)$", text, re.MULTILINE)
    return {what: float(value) for what, value in found}


def panels(deployment: Path, titles: set[str], site: str) -> list[str]:
    """What some panels of the overview ask for."""
    board = json.loads((deployment / "grafana" / "overview.json").read_text("utf-8"))
    asked = [one["targets"][0]["expr"] for one in board["panels"] if one["title"] in titles]
    assert len(asked) == len(titles)
    return [one.replace("$site", site).replace("$group", ".*") for one in asked]


def site_of(server: prometheus.Prometheus) -> str:
    """The site that Prometheus knows."""
    [site] = until(lambda: server.query("count by (site) (wpbridge_build_info)"), "a site")
    return str(site["metric"]["site"])
