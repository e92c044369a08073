"""PHP workers under harm: wpbridge killed, workers killed, the database restarted."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

import invariants
import warm
from conftest import OPTIONS, ROOT, wordpress_site
from daemons import until
from factories import make_new
from php_site import PhpSite
from rows import query
from servers import private_mariadb
from wpbridge.clock import SystemClock

ROWS = 2_000
DYING = {
    "before it is made": "Claiming.claim_next = die",
    "while it is made": "Claiming.claim_next = lambda self, claim, work: real(\n"
    "    self, claim, lambda: work() and (work(), die())\n)",
    "after it was made": "Claiming.claim_next = lambda *given: die(real(*given))",
}
HANDLERS = """
import os

from wpbridge import hook
from wpbridge.executors.php import worker
from wpbridge.runner.claim_size import ClaimSize
from wpbridge.runner.claiming import Claiming

# Actions count as quick, however busy the machine is.
worker._AHEAD_SECONDS = worker._STUCK_SECONDS = 60
ClaimSize.is_short = lambda *_: True
real = Claiming.claim_next


@hook("of_python")
def die(*_):
    os.kill(os.getpid(), 9)


"""


def start_run(site: PhpSite, *more: str) -> subprocess.Popen[bytes]:
    """``claim-and-run --php`` as a process of its own."""
    words = [sys.executable, "-m", "wpbridge", "claim-and-run", "--php", "--php-workers=1"]
    words += [f"--path={site.folder}", f"--wp={shlex.join(site.wp)}", *more]
    return warm.Popen(words, cwd=site.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def has_begun(site: PhpSite) -> bool:
    return len(site.records("blogname")) >= 5


def is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def has_ended_or_interrupt(run: subprocess.Popen[bytes]) -> bool:
    """Whether it has ended; interrupts it once more when it has not."""
    if run.poll() is not None:
        return True
    run.send_signal(signal.SIGINT)
    return False


def test_php_dies_with_wpbridge_and_its_action_is_put_back(wordpress: PhpSite) -> None:
    hanging = wordpress.enqueue("t_hang")
    others = [wordpress.enqueue("t_args", n) for n in range(3)]
    with start_run(wordpress) as run:
        until(lambda: wordpress.records("hang"), "the callback")
        run.send_signal(signal.SIGKILL)
    [[pid]] = wordpress.records("hang")
    until(lambda: is_gone(pid), "the end of PHP")
    assert wordpress.state(hanging)[0] == "in-progress"
    totals = wordpress.run(php_timeout="1s")
    assert totals.reclaimed == 4
    assert wordpress.state(hanging)[:2] == ("failed", 2)
    assert [wordpress.state(i)[0] for i in others] == ["complete"] * 3
    assert sorted(wordpress.records("args")) == [[[0]], [[1]], [[2]]]


def test_a_second_interrupt_leaves_no_php_behind(wordpress: PhpSite) -> None:
    hanging = wordpress.enqueue("t_hang")
    with start_run(wordpress) as run:
        until(lambda: wordpress.records("hang"), "the callback")
        # The first one drains, the next one ends it: whichever arrives when.
        until(lambda: has_ended_or_interrupt(run), "the end")
        assert run.wait(300) == 130
    [[pid]] = wordpress.records("hang")
    until(lambda: is_gone(pid), "the end of PHP")
    wordpress.run(php_timeout="1s")
    assert wordpress.state(hanging)[0] == "failed"


def test_random_kills_of_workers_cost_one_action_each(wordpress: PhpSite) -> None:
    ids = [wordpress.enqueue("t_pid", n) for n in range(200)]
    stopped = threading.Event()
    killed: set[int] = set()

    def kill_now_and_then() -> None:
        while not stopped.wait(0.05) and len(killed) < 5:
            seen = [pid for pid, _ in wordpress.records("pid")][-1:]
            for pid in seen:
                if pid not in killed and not is_gone(pid):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)

    thread = threading.Thread(target=kill_now_and_then, daemon=True)
    thread.start()
    totals = wordpress.run(php_workers=2)
    stopped.set()
    thread.join()
    assert totals.complete + totals.failed == 200
    assert totals.failed <= len(killed)
    ran = [n for _, n in wordpress.records("pid")]
    assert len(ran) == len(set(ran))
    store = wordpress.open()
    failed = query(
        store,
        "SELECT l.message FROM wp_actionscheduler_logs l JOIN wp_actionscheduler_actions a"
        " USING (action_id) WHERE a.status = 'failed' AND l.message LIKE 'action failed%'",
    )
    left = query(store, "SELECT * FROM wp_actionscheduler_claims")
    store.close()
    assert len(failed) == totals.failed
    assert all("signal 9" in str(row[0]) for row in failed)
    assert left == []
    assert {wordpress.state(i)[0] for i in ids[:5]} <= {"complete", "failed"}


@pytest.mark.parametrize("step", ["before it is made", "while it is made", "after it was made"])
def test_a_kill_beside_the_next_claim_repeats_only_what_was_in_hand(
    step: str, wordpress: PhpSite
) -> None:
    """While marked actions are sent to PHP, the next ones are claimed and marked already."""
    (wordpress.folder / "dying.py").write_text(HANDLERS + DYING[step], encoding="utf-8")
    store, now = wordpress.open(), SystemClock().now()
    store.insert([make_new("t_pid", args=(n,), now=now) for n in range(ROWS)], now=now)
    with start_run(wordpress, "--php-workers=2", "--handlers=dying") as run:
        _, said = run.communicate(timeout=300)
    assert run.returncode == -signal.SIGKILL, said
    pids = {pid for pid, _ in wordpress.records("pid")}
    until(lambda: all(map(is_gone, pids)), "the end of PHP")
    held = "status = 'in-progress' OR (status = 'pending' AND claim_id <> 0)"
    in_hand = query(store, f"SELECT args FROM wp_actionscheduler_actions WHERE {held}")
    hands = {json.loads(str(row[0]))[0] for row in in_hand}
    done = store.counts().get("complete", 0)
    assert hands
    totals = wordpress.run(php_workers=2)
    assert (totals.reclaimed, totals.complete) == (len(hands), ROWS - done)
    ran = Counter(n for _, n in wordpress.records("pid"))
    assert ran.keys() == set(range(ROWS))
    assert {n for n, times in ran.items() if times > 1} <= hands
    assert max(ran.values()) <= 2
    invariants.check(store)
    store.close()


def test_a_database_restarted_under_the_pool(tmp_path: Path) -> None:
    with private_mariadb(OPTIONS) as server:
        callbacks = ROOT / "tests" / "php" / "callbacks.php"
        for site in wordpress_site(server, tmp_path / "site", callbacks):
            for n in range(60):
                site.enqueue("t_sleep", 0.02)
                site.enqueue("t_use_database", n)
            with start_run(site, "--batch-size=10", "--format=json") as run:
                until(partial(has_begun, site), "some actions")
                server.stop()
                server.start()
                told, _ = run.communicate(timeout=300)
            totals = json.loads(told)
            store = site.open()
            rows = query(
                store,
                "SELECT status, COUNT(*) FROM wp_actionscheduler_actions WHERE hook LIKE 't\\_%'"
                " GROUP BY status",
            )
            left = query(store, "SELECT * FROM wp_actionscheduler_claims")
            store.close()
            found = {str(status): int(str(count)) for status, count in rows}
            assert sum(found.values()) == 120
            assert set(found) <= {"complete", "failed"}
            assert totals["complete"] + totals["failed"] + totals["lost"] >= 120
            assert left == []
