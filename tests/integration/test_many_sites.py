"""One daemon for many sites, with real processes, databases and users."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import execute, needs
from daemons import until
from databases import Databases
from many_sites import (
    ACTS,
    CONFIG,
    IS_ROOT,
    Host,
    HostedSite,
    environment_of,
    hosting,
    missing_users,
    other_users,
    status_of,
)
from proxy import Proxy
from stores import make_store
from wordpress import make_site, missing_wordpress
from wpbridge import Queue
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.connect import connect
from wpbridge.store.structure.creation import create_tables

AddSite = Callable[..., HostedSite]
HARM = """
import os
from wpbridge import hook

@hook("count")
def count(number):
    {body}
"""


@pytest.fixture
def host() -> Iterator[Host]:
    if IS_ROOT:
        needs(missing_users())
    with hosting() as found:
        yield found


@pytest.fixture
def add(host: Host, databases: Databases) -> Iterator[AddSite]:
    """Adds a site with a database of its own, on a server that is reached through a proxy."""
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(Proxy(databases.server.socket))

        def add(name: str, *, through: Proxy | None = None, **more: Any) -> HostedSite:
            dsn = stack.enter_context(databases.with_tables())
            dsn = (through or proxy).url(dsn.partition("?")[0].rpartition("/")[2])
            return host.site(name, dsn, **more)

        yield add
        host.quit()


def test_all_sites_that_have_something_due_are_run_within_the_bound(
    host: Host, add: AddSite
) -> None:
    # Given twenty sites on one server, of two users, with more due than may run at once
    sites = [add(f"site{n}", user=host.users[n % 2]) for n in range(20)]
    for number, site in enumerate(sites):
        site.enqueue(number, number + 100)
    # When a daemon serves them
    daemon = host.start("--max-running", "6", "--linger", "30s")
    # Then each site's actions are run by its own handlers, as its own user, in its own folder
    for number, site in enumerate(sites):
        host.complete(site.name, 2)
        assert sorted(int(line[0]) for line in site.records()) == [number, number + 100]
        uid = site.folder.stat().st_uid
        assert {(int(line[1]), line[3]) for line in site.records()} == {(uid, str(site.folder))}
    # And never more at once than may run
    until(lambda: (state := host.state()) and state.waiting == 0, "nobody waits")
    state = host.state()
    assert state is not None
    assert state.running <= 6
    assert host.stop(daemon) == 128 + signal.SIGTERM
    assert not host.state_file.exists()


def test_a_bad_site_is_named_with_its_reason_and_harms_no_other(
    host: Host, add: AddSite, databases: Databases
) -> None:
    # Given sites that are each broken in a way of their own, with something due where that can be
    with Proxy(databases.server.socket) as stalled:
        add("php-error", config="<?php define('DB_NAME', ;\n")
        add(
            "no-login",
            config=CONFIG.format(
                name="x", user="u", password="p", host="127.0.0.1", port=9, more=""
            ),
        )
        add("stalls", through=stalled).enqueue(1)
        add("exits", acts=HARM.format(body="os._exit(3)")).enqueue(1)
        add("no-module", acts="import not_there\n").enqueue(1)
        add("eats", acts=HARM.format(body="return len(bytes(1 << 30))")).enqueue(1)
        everybody = add("open-toml")
        everybody.enqueue(1)
        (everybody.folder / "wpbridge.toml").chmod(0o666)
        host.entry("nowhere", path=str(host.folder / "nowhere"))
        stalled.stall()
        # And sites that are well
        good = [add(f"good{n}") for n in range(4)]
        for site in good:
            site.enqueue(7)
        # When a daemon serves all of them
        host.start("--max-memory", "300M")
        # Then the good ones are run
        for site in good:
            host.complete(site.name, 1)
        # And the bad ones are named with what is wrong
        reasons = {
            "php-error": "is not valid PHP",
            "no-login": "Connection refused",
            "exits": "code 3",
            "no-module": "not_there",
            "open-toml": "everybody may write it",
        }
        for name, reason in reasons.items():
            host.logged(f"site.bad site={name} ", reason)
        host.told("no-module", lambda s: s.condition == "bad" and s.failures, "is bad")
        # And what a handler did alone has ended alone
        until(lambda: host.sites["eats"].statuses()["failed"] == 1, "the one that eats memory")
        state = host.state()
        assert state is not None
        assert any("nowhere" in fault for fault in state.faults)
        # And new work of a good site is found while the database of another stalls
        good[0].enqueue(8)
        host.complete("good0", 2)
        stalled.flow()
        host.complete("stalls", 1)


def test_a_site_whose_settings_belong_to_a_stranger_is_not_run(host: Host, add: AddSite) -> None:
    if not IS_ROOT:
        pytest.skip("only root can give a file to somebody else")
    site, good = add("theirs"), add("good")
    shutil.chown(site.folder / "wpbridge.toml", host.users[1])
    for one in (site, good):
        one.enqueue(1)
    host.start()
    host.complete("good", 1)
    told = host.told("theirs", lambda s: s.condition == "bad", "is refused")
    assert f"belongs to {host.users[1]}" in told.reason
    assert not site.records()


def test_who_waits_is_not_kept_waiting_by_who_is_busy(host: Host, add: AddSite) -> None:
    # Given a site with more to do than its turn holds, and room for one process. Its calls take a
    # second each, so that its turn can end between them, until a file lets the rest go by at once.
    slow = HARM.format(body="import os, time; os.path.exists('go') or time.sleep(1)")
    busy = add("busy", acts=slow)
    busy.enqueue(*range(300))
    host.start("--max-running", "1")
    host.told("busy", lambda s: s.condition == "running", "has begun")
    # When something becomes due on others
    others = [add("second"), add("third")]
    for site in others:
        site.enqueue(1)
    host.hang_up()
    # Then they get their turn before the busy one is done, and that one goes on afterwards
    for site in others:
        host.complete(site.name, 1)
    assert busy.statuses()["complete"] < 300
    busy.write("go", "")
    host.complete("busy", 300)
    assert host.states()["busy"].runs >= 2
    assert busy.statuses()["failed"] == 0


def test_killed_processes_lose_nothing_and_end_nothing_twice(host: Host, add: AddSite) -> None:
    waits = """
import time
from pathlib import Path
from wpbridge import hook

@hook("count")
def count(number):
    with open("record", "ab", buffering=0) as stream:
        stream.write(f"{number}\\n".encode())
    while number and not Path("go").exists():
        time.sleep(0.01)
"""
    site = add("shop", acts=waits)
    site.enqueue(1)
    daemon = host.start()
    until(site.records, lambda: f"the start of an action; {host.err()}")
    # When the process of the site is killed, another one takes its action over
    [pid] = host.processes("site:")
    os.kill(pid, signal.SIGKILL)
    until(lambda: len(site.records()) == 2, lambda: f"another start; {host.err()}")
    # When the daemon is killed, its processes end with it
    daemon.kill()
    below = host.processes()
    daemon.wait()
    until(lambda: not any(map(_lives, below)), "the end of all processes")
    # Then the next daemon finds everything
    site.write("go", "")
    site.enqueue(0)
    host.start()
    host.complete("shop", 2)
    assert site.statuses() == {"pending": 0, "in-progress": 0, "complete": 2, "failed": 0}


def _lives(pid: int) -> bool:
    try:
        return status_of(pid)["State"][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_list_is_read_anew(host: Host, add: AddSite) -> None:
    first = add("first")
    host.start()
    host.told("first", lambda s: s.condition == "idle", "was looked at")
    # A new site comes, and an old one goes
    second = add("second")
    second.enqueue(1)
    host.write_list(without=("first",))
    host.hang_up()
    host.complete("second", 1)
    until(lambda: set(host.states()) == {"second"}, lambda: f"the new list: {host.states()}")
    # A list that cannot be read changes nothing
    host.list.write_text("[[sites")
    host.hang_up()
    until(lambda: (state := host.state()) and state.list_problem, "the problem")
    second.enqueue(2)
    host.complete("second", 2)
    assert host.err().count("sites.list_refused") == 1
    first.enqueue(1)
    host.write_list()
    host.hang_up()
    host.complete("first", 1)


@pytest.mark.parametrize("told", [{"network": True}, {}], ids=["by the list", "by WordPress"])
def test_each_blog_of_a_network_is_a_site(
    host: Host, add: AddSite, databases: Databases, told: dict[str, bool]
) -> None:
    # Given a network of four blogs, of which one has no queue, and one is archived
    site = add("net", **told)
    address = DatabaseAddress.from_dsn(site.dsn)
    more = "define('MULTISITE', true); define('BLOG_ID_CURRENT_SITE', 1);"
    text = CONFIG.format(
        name=address.name, user="root", password="", host=address.host, port=address.port, more=more
    )
    site.write("wp-config.php", text)
    for prefix in ("wp_2_", "wp_4_"):
        make_store(address, prefix).close()
    with databases.server.connect(database=address.name, autocommit=True) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "CREATE TABLE wp_blogs (blog_id BIGINT, domain TEXT, path TEXT, archived INT,"
            " deleted INT, spam INT)"
        )
        rows = [(1, 0), (2, 0), (3, 0), (4, 1)]
        cursor.executemany("INSERT INTO wp_blogs VALUES (%s, 'net.example', '/', %s, 0, 0)", rows)
    for prefix in ("wp_", "wp_2_", "wp_4_"):
        with Queue.open(dsn=site.dsn, table_prefix=prefix) as queue:
            queue.enqueue_async("count", [len(prefix)])
    # When a daemon serves the network
    host.start()
    # Then each blog in use that has a queue is run by itself
    for name in ("net.1", "net.2"):
        host.told(name, lambda s: s.counts.get("complete") == 1, "has run")
    assert set(host.states()) == {"net", "net.1", "net.2"}
    assert sorted(line[0] for line in site.records()) == ["3", "5"]
    # And who looks at the list sees the same blogs
    words = ["sites", "status", "--sites", str(host.list), "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "wpbridge", *words], capture_output=True, text=True, check=False
    )
    assert {row["name"] for row in json.loads(done.stdout)} == {"net.1", "net.2"}, done


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
def test_a_python_that_the_user_may_not_run_is_named(
    host: Host, add: AddSite, tmp_path: Path
) -> None:
    # Given an installation in a folder that only root may enter
    tmp_path.chmod(0o700)
    installed = Path(sys.prefix)
    shutil.copy(installed / "pyvenv.cfg", tmp_path)
    (tmp_path / "lib").symlink_to(installed / "lib")
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    # When it runs a site of another user
    add("shop").enqueue(1)
    host.start(python=str(python))
    # Then the site's reason says what to do
    site = host.told("shop", lambda s: s.reason, "has a reason")
    assert site.reason == (
        f"the user {host.users[0]} may not run {python}: install wpbridge where the users of all"
        " sites may run it, such as below /opt"
    )


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
def test_processes_of_two_users_cannot_reach_each_other(host: Host, add: AddSite) -> None:
    looks = """
import os
from pathlib import Path
from wpbridge import hook

@hook("count")
def count(number):
    other = Path.cwd().parent / ("b" if Path.cwd().name == "a" else "a")
    seen = [os.environ.get("HOME"), os.environ.get("SECRET_OF_ROOT")]
    for name in ("secret", "wp-config.php"):
        try:
            seen.append((other / name).read_text())
        except PermissionError:
            seen.append("denied")
    seen.append(str(sorted(os.getgroups())))
    seen.append(str(os.getresuid()))
    Path("record").write_text("|".join(map(str, seen)))
"""
    users = other_users(2)
    for name, user in zip("ab", users, strict=True):
        site = add(name, user=user, acts=looks)
        site.write("secret", "mine").chmod(0o600)
        (site.folder / "wp-config.php").chmod(0o600)
        site.enqueue(1)
    host.start(env={"SECRET_OF_ROOT": "root's"})
    for name in "ab":
        host.complete(name, 1)
        site = host.sites[name]
        home, secret, *others, groups, uids = (site.folder / "record").read_text().split("|")
        uid = site.folder.stat().st_uid
        assert others == ["denied", "denied"]
        assert secret == "None"
        assert home != os.environ.get("HOME")
        assert uids == str((uid, uid, uid))
        assert "[0" not in groups


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
def test_traps_of_a_site_never_run_as_root(host: Host, add: AddSite, tmp_path: Path) -> None:
    marks = host.folder / "marks"
    marks.mkdir()
    marks.chmod(0o777)
    trap = f"import os; open('{marks}/' + str(os.getuid()), 'w').close()\n"
    site = add("traps", acts=trap + ACTS)
    for name in ("sitecustomize.py", "usercustomize.py", "wpbridge.py", "click.py", "json.py"):
        site.write(name, trap)
    site.write("trap.pth", f"import os; open('{marks}/' + str(os.getuid()), 'w').close()\n")
    site.enqueue(1)
    pipe = add("pipe")
    # A configuration that PHP would have to run
    runs = "<?php file_put_contents('{0}/'.posix_getuid(), ''); define('DB_NAME', strrev('x'));"
    add("asks", config=runs.format(marks) + "require 'x.php'; ")
    # A site of root's own, and one that a link leads elsewhere
    own = add("own")
    for place in (own.folder, *own.folder.iterdir()):
        shutil.chown(place, "root")
    own.enqueue(1)
    told_by_root = {"PYTHONSTARTUP": str(site.folder / "acts.py"), "SECRET": "root's"}
    # The last process stays long enough to be looked at.
    host.start("--linger", "60s", env=told_by_root)
    host.complete("traps", 1)
    told = host.told("own", lambda s: s.condition == "bad", "is refused")
    assert "root runs nothing of a site" in told.reason
    assert not own.records()
    # A pipe in the place of a configuration would stop whoever opens it
    host.told("pipe", lambda s: s.condition == "idle", "was looked at")
    (pipe.folder / "wp-config.php").unlink()
    os.mkfifo(pipe.folder / "wp-config.php")
    host.told("pipe", lambda s: s.condition == "bad", "is refused")
    site.enqueue(2)
    host.complete("traps", 2)
    uid = site.folder.stat().st_uid
    assert {one.name for one in marks.iterdir()} == {str(uid)}
    # No process of a site's user has anything of root's environment
    for pid in host.processes():
        if status_of(pid)["Uid"][0] != "0" and "site:" in "".join(host.words_of(pid)):
            assert not {"SECRET", "PYTHONSTARTUP", "PYTHONPATH"} & environment_of(pid).keys()


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
def test_php_of_two_sites_runs_as_their_users_and_sees_nothing_of_the_other(
    host: Host, databases: Databases
) -> None:
    # Given two WordPresses of two users, whose callback looks who it is and what it can read
    needs(missing_wordpress())
    callback = host.folder / "callback.php"
    callback.write_text(
        "<?php add_action('who', function () {"
        " $other = dirname(ABSPATH) . '/' . (basename(ABSPATH) === 'a' ? 'b' : 'a');"
        " $seen = @file_get_contents($other . '/wp-config.php');"
        " file_put_contents(ABSPATH . 'record', getmypid() . ' ' . posix_geteuid() . ' '"
        " . ($seen === false ? 'denied' : 'read'), FILE_APPEND); });"
    )
    with Proxy(databases.server.socket) as proxy, contextlib.ExitStack() as stack:
        for name, user in zip("ab", host.users, strict=True):
            folder, database = host.folder / name, f"php_{name}_{os.getpid()}"
            make_site(folder, databases.server, database, callbacks=callback)
            stack.callback(execute, databases.server, f"DROP DATABASE {database}")
            config = folder / "wp-config.php"
            place = f"localhost:{databases.server.socket}"
            config.write_text(config.read_text().replace(place, f"127.0.0.1:{proxy.port}"))
            way = connect(DatabaseAddress.from_dsn(proxy.url(database)), "wp_")
            create_tables(way, everything=True)
            way.close()
            (folder / "wpbridge.toml").write_text('[php]\nenabled = true\nwp = "php"\n')
            for place_of in (folder, *folder.rglob("*")):
                os.chown(place_of, pwd.getpwnam(user).pw_uid, -1, follow_symlinks=False)
            config.chmod(0o600)
            host.entry(name, path=str(folder))
            host.sites[name] = HostedSite(folder, name, user, proxy.url(database))
            host.sites[name].enqueue(1, hook="who")
        # When a daemon of root serves both
        host.start("--linger", "30s")
        # Then each site's PHP is a process of its own, of its user, that cannot read the other
        seen = []
        for name in "ab":
            host.complete(name, 1)
            pid, uid, what = host.sites[name].records()[0]
            assert int(uid) == host.sites[name].folder.stat().st_uid
            assert what == "denied"
            assert status_of(int(pid))["Uid"] == [uid] * 4
            seen.append(pid)
        assert len(set(seen)) == 2
        host.quit()
