"""The options of ``work --sites``, its dry run, and the metrics and the wakes of a daemon."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from cli_helpers import call
from conftest import needs
from daemons import until
from many_sites import IS_ROOT, Host, hosting, missing_users
from stores import make_store
from wpbridge.site.database import DatabaseAddress

ROOTS = "root runs nothing of a site"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a list of two sites, one of which has no WordPress any more."""
    site = tmp_path / "shop"
    site.mkdir()
    (site / "wp-config.php").write_text("<?php define('DB_NAME', 'shop');")
    (tmp_path / "sites.toml").write_text(
        f'[[sites]]\nname = "shop"\npath = "{site}"\n\n[[sites]]\nname = "gone"\npath = "gone"\n'
    )
    return tmp_path


def test_the_dry_run_shows_each_site_and_starts_nothing(folder: Path) -> None:
    words = ("work", "--sites", "sites.toml", "--dry-run", "--state-file", "state.json")
    done = call(*words, cwd=folder)
    assert done.code == 0
    assert done.lines[0].startswith("would run 1 site: at most 8 at once, with 8 PHP workers")
    assert done.lines[1].startswith(f"shop: {folder}/shop, ")
    assert (ROOTS in done.lines[1]) is IS_ROOT
    assert "gone" in done.err
    assert not (folder / "state.json").exists()
    told = json.loads(call(*words, "--format", "json", cwd=folder).out)
    assert [site["name"] for site in told["sites"]] == ["shop"]
    assert told["interval_seconds"] == 10.0
    quicker = call(*words, "--poll-interval", "2s", "--format", "json", cwd=folder)
    assert json.loads(quicker.out)["interval_seconds"] == 2.0


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--path", "shop"), "--path"),
        (("--handlers", "acts", "--processes", "2"), "--handlers, --processes"),
        (("--php",), "--php"),
        (("--serve", "127.0.0.1:0"), "--serve"),
        (("--reload",), "--reload"),
    ],
)
def test_what_means_one_site_is_refused(folder: Path, flags: tuple[str, ...], named: str) -> None:
    done = call("work", "--sites", "sites.toml", *flags, cwd=folder)
    assert done.code == 78
    assert f"with --sites, {named} says something of one site" in done.err


def test_a_list_that_is_none_ends_the_command(folder: Path) -> None:
    (folder / "sites.toml").write_text("[[sites")
    done = call("work", "--sites", "sites.toml", "--state-file", "state.json", cwd=folder)
    assert done.code == 78
    assert "is no TOML" in done.err


def _sqlite_site(host: Host, name: str) -> Path:
    """Add a site with a file as its queue, which belongs to the site's user."""
    folder = host.folder / f"of-{name}"
    folder.mkdir()
    file = folder / "queue.db"
    make_store(DatabaseAddress(driver="sqlite", path=str(file)), "wp_").close()
    (host.folder / "acts.py").write_text(
        "import os\nfrom wpbridge import hook\n\n@hook('count')\ndef count(number):\n"
        f"    open('{folder}/record', 'a').write(f'{{number}} {{os.getuid()}}\\n')\n"
    )
    if IS_ROOT:
        for place in (folder, file):
            os.chown(place, *_ids(host.users[0]))
    host.entry(name, dsn=f"sqlite:///{file}", user=host.users[0], handlers=["acts"])
    return folder


def _ids(user: str) -> tuple[int, int]:
    import pwd  # noqa: PLC0415 - for root alone

    found = pwd.getpwnam(user)
    return found.pw_uid, found.pw_gid


def test_an_enqueue_of_the_sites_user_is_found_at_once_and_counted() -> None:
    if IS_ROOT:
        needs(missing_users())
    with hosting() as host:
        # Given a daemon that looks at its site once an hour
        folder = _sqlite_site(host, "lite")
        host.start("--poll-interval", "1h", "--metrics", "127.0.0.1:0")
        until(lambda: "metrics at" in host.err(), host.err)
        url = host.err().partition("metrics at ")[2].split()[0]
        _enqueue(host, folder, 1)
        host.told("lite", lambda s: s.counts.get("complete") == 1 and s.pid is None, "has run")
        # When the site's user enqueues
        _enqueue(host, folder, 2)
        # Then it runs, with nobody having looked by the clock
        host.told("lite", lambda s: s.counts.get("complete") == 2, "has run again")
        uid = _ids(host.users[0])[0]
        assert (folder / "record").read_text() == f"1 {uid}\n2 {uid}\n"

        def told() -> bool:
            text = requests.get(url, timeout=60).text
            wanted = (
                'wpbridge_site_actions_total{outcome="complete",site="lite"} 2.0',
                'wpbridge_site_up{site="lite"} 1.0',
            )  # one line each
            return all(line in text for line in wanted)

        until(told, "the metrics of the site")


def _enqueue(host: Host, folder: Path, number: int) -> None:
    code = (
        "from wpbridge import Queue\n"
        f"with Queue.open(dsn='sqlite:///{folder}/queue.db') as queue:\n"
        f"    queue.enqueue_async('count', [{number}])\n"
    )
    who = {"user": host.users[0], "group": _ids(host.users[0])[1], "extra_groups": []}
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    more = who if IS_ROOT else {}
    subprocess.run(
        [sys.executable, "-P", "-c", code],
        check=True,
        env=env,
        cwd="/",
        **more,  # type: ignore[call-overload]
    )
