"""`wpbridge exporter` as its operators start and stop it."""

import os
import signal
import sys
from contextlib import closing
from pathlib import Path

import pytest
import requests

from cli_helpers import Site, call
from daemons import until
from factories import insert, make_new
from served import DEADLINE_SECONDS, served
from wpbridge.monitor.followed_sites import FollowedSites


def asked(url: str, **headers: str) -> str:
    answer = requests.get(url, headers=headers, timeout=DEADLINE_SECONDS)
    return f"{answer.status_code} {answer.text}"


def test_it_tells_what_the_tables_show_and_term_ends_it_well(lite: Site, tmp_path: Path) -> None:
    insert(lite.store, make_new(group="mail"), make_new(group="mail"))
    flags = ("--listen", "127.0.0.1:0")
    with served(tmp_path, lite.dsn, *flags, command=("exporter",)) as exporter:
        url = exporter.told("metrics at").split()[-1]
        text = asked(url)
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.code() == 0
    assert f'wpbridge_scrape_success{{site="{lite.dsn}"}} 1.0' in text
    assert f'wpbridge_due_actions{{group="mail",site="{lite.dsn}"}} 2.0' in text


def test_while_the_database_is_away_it_goes_on_and_says_so(tmp_path: Path) -> None:
    dsn = f"mysql://nobody@localhost/none?unix_socket={tmp_path}/no.sock"
    flags = ("--listen", "127.0.0.1:0")
    with served(tmp_path, dsn, *flags, command=("exporter",)) as exporter:
        text = asked(exporter.told("metrics at").split()[-1])
        exporter.process.send_signal(signal.SIGINT)
        assert exporter.code() == 0
    [line] = [line for line in text.splitlines()[1:] if not line.startswith("#")]
    assert line.startswith("wpbridge_scrape_success{")
    assert line.endswith(" 0.0")


def test_beyond_this_host_it_wants_a_token(lite: Site, tmp_path: Path) -> None:
    done = lite("exporter", "--listen", "0.0.0.0:0")
    assert (done.code, done.out) == (78, "")
    assert "WPBRIDGE_METRICS_TOKEN" in done.err
    done = lite("exporter", "--dry-run", "--listen", "0.0.0.0:0")
    assert done.code == 78
    secret = {"WPBRIDGE_METRICS_TOKEN": "a-token-of-the-test"}
    done = lite("exporter", "--dry-run", "--listen", "0.0.0.0:0", env=secret)
    assert (done.code, done.err) == (0, "")


def test_a_dry_run_reads_once_and_listens_nowhere(lite: Site) -> None:
    out = lite.ok("exporter", "--dry-run")
    assert out.startswith("would tell metrics of ")
    assert "at http://127.0.0.1:9464/metrics; one reading takes" in out


def test_a_dry_run_fails_where_the_database_is_away(lite: Site) -> None:
    done = lite.process(
        "exporter", "--dry-run", "--dsn", "mysql://nobody@localhost/none?unix_socket=/no"
    )
    assert (done.code, done.out) == (69, "")


def test_without_the_extra_one_line_says_how_to_install_it(
    lite: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.delitem(sys.modules, "wpbridge.telling.exposition", raising=False)
    done = lite("exporter", "--listen", "127.0.0.1:0")
    assert done.code == 78
    assert "pip install 'wpbridge[metrics]'" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_wrong_token_is_refused(
    lite: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wpbridge.toml").write_text(
        '[metrics]\ntoken = "a-token-of-the-test"\nlisten = "127.0.0.1:0"\n'
    )
    with served(tmp_path, lite.dsn, command=("exporter",)) as exporter:
        url = exporter.told("metrics at").split()[-1]
        assert asked(url).startswith("401 ")
        assert "wpbridge_actions" in asked(url, Authorization="Bearer a-token-of-the-test")


def test_it_tells_the_numbers_of_many_sites(lite: Site, tmp_path: Path) -> None:
    insert(lite.store, make_new(group="mail"))
    listed = tmp_path / "sites.toml"
    good = f'[[sites]]\nname = "good"\ndsn = "{lite.dsn}"\n'
    bad = f'[[sites]]\nname = "bad"\ndsn = "sqlite:///{tmp_path}/none.db"\n'
    listed.write_text(good + bad)
    flags = ("--sites", str(listed), "--listen", "127.0.0.1:0")
    with served(tmp_path, "", *flags, command=("exporter",)) as exporter:
        address = exporter.told("metrics at").split()[-1]
        # On a slow machine it begins to tell before the first look has its answers.
        until(lambda: 'wpbridge_scrape_success{site="good"} 1.0' in asked(address), "the look")
        text = asked(address)
        exporter.process.send_signal(signal.SIGTERM)
        assert exporter.code() == 0
    assert 'wpbridge_due_actions{group="other",site="good"} 1.0' in text
    assert 'wpbridge_scrape_success{site="good"} 1.0' in text
    assert [line for line in text.splitlines() if 'site="bad"' in line] == [
        'wpbridge_scrape_success{site="bad"} 0.0'
    ]


def test_the_daemon_for_many_sites_tells_them_too(lite: Site, tmp_path: Path) -> None:
    listed = tmp_path / "sites.toml"
    listed.write_text(f'[[sites]]\nname = "one"\ndsn = "{lite.dsn}"\n')
    state = str(tmp_path / "state.json")
    flags = ("--sites", str(listed), "--metrics", "127.0.0.1:0", "--state-file", state)
    with served(tmp_path, "", *flags, command=("work",)) as daemon:
        address = daemon.told("metrics at").split()[-1]
        until(lambda: 'wpbridge_scrape_success{site="one"} 1.0' in asked(address), "the look")
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.code() == 143


def test_a_site_that_joins_the_list_is_told_too(lite: Site, tmp_path: Path) -> None:
    insert(lite.store, make_new())
    listed = tmp_path / "sites.toml"
    listed.write_text("sites = [3]")
    words = [sys.executable, "-m", "wpbridge", "sites", "status", "--sites", str(listed)]
    with closing(FollowedSites([*words, "--follow", "0.1"], os.environ)) as many:
        until(lambda: bool(many.latest().faults), "the faults")
        listed.write_text("sites = [")
        until(lambda: "no TOML" in many.latest().problem, "the problem")
        assert many.latest().faults
        listed.write_text(f'[[sites]]\nname = "new"\ndsn = "{lite.dsn}"\n')
        until(lambda: "new" in many.latest().looks, "the site")
        assert (many.latest().problem, many.latest().faults) == ("", ())
        assert many.latest().looks["new"][0].due == 1
        listed.write_text(f'[[sites]]\nname = "newer"\ndsn = "{lite.dsn}"\n')
        until(lambda: list(many.latest().looks) == ["newer"], "the newer site")


def test_a_list_and_one_site_are_not_told_together(lite: Site, tmp_path: Path) -> None:
    listed = tmp_path / "sites.toml"
    listed.write_text("sites = []")
    done = lite("exporter", "--sites", str(listed))
    assert (done.code, done.out) == (78, "")
    assert "dsn (env WPBRIDGE_DSN) says something of one" in done.err


def test_a_dry_run_of_many_sites_opens_none(tmp_path: Path) -> None:
    listed = tmp_path / "sites.toml"
    listed.write_text('[[sites]]\ndsn = "mysql://nobody@localhost/none?unix_socket=/no"')
    done = call("exporter", "--sites", str(listed), "--dry-run", cwd=tmp_path)
    assert done.out == "would tell metrics of 1 sites at http://127.0.0.1:9464/metrics\n"
    listed.write_text("[[sites]]")
    assert call("exporter", "--sites", str(listed), "--dry-run", cwd=tmp_path).code == 78
