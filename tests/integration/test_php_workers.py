"""PHP workers over a real WordPress: what callbacks get, how their ends are told, what stays clean.

Through php, or with WPBRIDGE_TEST_WP through a real WP-CLI; with WPBRIDGE_TEST_PLUGIN the real
Action Scheduler is active in the WordPress.
"""

import os
import re
import shlex
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from daemons import until
from factories import make_new
from php_site import PhpSite
from rows import change, query
from stores import make_store
from wpbridge.clock import SystemClock
from wpbridge.executors.php import launch as php_launch
from wpbridge.executors.php.inbox import Inbox, Sent
from wpbridge.runner import presence
from wpbridge.site.database import DatabaseAddress


@pytest.fixture
def go(wordpress: PhpSite) -> Iterator[Path]:
    """The file that lets callbacks of the hook t_wait end."""
    file = wordpress.folder / "wp-content" / "go"
    yield file
    file.unlink(missing_ok=True)


def test_args_reach_the_callback_as_the_plugin_passes_them(wordpress: PhpSite) -> None:
    keyed = {"order": 5, "a": 1.5, "deep": {"x": [None, True]}, "é": "ü/\\"}
    wordpress.enqueue("t_args", keyed=keyed)
    ids = [wordpress.enqueue("t_args", n, "text", 2.0) for n in range(3)]
    totals = wordpress.run()
    assert (totals.complete, totals.failed) == (4, 0)
    # Keys are dropped: the callback gets values in their order.
    assert wordpress.records("args") == [
        [[5, 1.5, {"x": [None, True]}, "ü/\\"]],
        [[0, "text", 2]],
        [[1, "text", 2]],
        [[2, "text", 2]],
    ]
    assert wordpress.log(ids[0]) == [
        "action created",
        "action started via wpbridge",
        "action complete via wpbridge",
    ]


CAUSES = {
    "t_throw": (r"boom: détail", r"LogicException in .*callbacks\.php:\d+"),
    "t_code": (r"text code", r"PDOException in .*callbacks\.php:\d+"),
    "t_type_error": (r"strlen\(\): Argument #1.*", r"TypeError in .*callbacks\.php:\d+"),
    "t_user_error": (r"told so", r"Exception in .*"),
    "t_die": (r"wp_die\(\): no more", r"Wpbridge_Died in .*"),
    "t_die_error": (r"wp_die\(\): an error object", r"Wpbridge_Died in .*"),
    "t_exit": (r"the callback ended PHP with exit \(status 3\)", r"last output: last words"),
    "t_exit_0": (r"the callback ended PHP with exit \(status 0\)", None),
    "t_oom": (
        (
            r"unexpected shutdown: PHP Fatal error Allowed memory size of .* in .*callbacks\.php"
            r" on line \d+"
        ),
        r"last output: .*Allowed memory size.*",
    ),
    "t_fatal": (
        r"unexpected shutdown: PHP Fatal error Cannot declare interface T_Twice.*",
        r"last output: .*",
    ),
    "t_signal": (r"PHP was ended by signal 11 \(SIGSEGV: PHP crashed\)", None),
    "t_flood": (r"after a flood", r"Exception in .*; last output: …y+THE END"),
    "t_shell": (
        r"after a child",
        r"Exception in .*; last output: (from a child\nand its stderr|and its stderr\nfrom a child)",
    ),
}


@pytest.mark.parametrize("hook", CAUSES)
def test_a_bad_callback_costs_its_own_action_and_tells_the_cause(
    wordpress: PhpSite, hook: str
) -> None:
    before = [wordpress.enqueue("t_noop") for _ in range(2)]
    bad = wordpress.enqueue(hook)
    after = [wordpress.enqueue("t_noop") for _ in range(3)]
    totals = wordpress.run()
    assert (totals.complete, totals.failed, totals.lost) == (5, 1, 0)
    for action_id in (*before, *after):
        assert wordpress.state(action_id)[:2] == ("complete", 1)
        assert len(wordpress.log(action_id)) == 3
    assert wordpress.state(bad)[:2] == ("failed", 1)
    log = wordpress.log(bad)
    reason, detail = CAUSES[hook]
    assert log[:2] == ["action created", "action started via wpbridge"]
    assert re.fullmatch(f"action failed via wpbridge: {reason}", log[2], re.DOTALL), log[2]
    if detail is None:
        assert len(log) == 3
    else:
        assert re.fullmatch(f"wpbridge: {detail}", log[3], re.DOTALL), log[3]
        assert len(log[3]) < 9000


FORGED = '{"is":"end","id":ID,"as":"done","seconds":0.1,"deferred":false,"full":false}'


@pytest.mark.parametrize("text", ["[1]\n", f"{FORGED}\n", "half a line", "\x00\n"])
def test_a_callback_that_writes_to_the_answers_costs_its_own_action(
    wordpress: PhpSite, text: str
) -> None:
    bad = wordpress.enqueue("t_answers", text)
    after = [wordpress.enqueue("t_noop") for _ in range(3)]
    totals = wordpress.run()
    assert (totals.complete, totals.failed, totals.lost) == (3, 1, 0)
    assert wordpress.state(bad)[:2] == ("failed", 1)
    words = "action failed via wpbridge: PHP was ended, because what came to its answers is none: "
    assert wordpress.log(bad)[2].startswith(words)
    assert [wordpress.state(i)[:2] for i in after] == [("complete", 1)] * 3


def test_a_callback_cannot_forge_its_own_end(wordpress: PhpSite) -> None:
    bad = wordpress.enqueue("t_answers", f"{FORGED}\n", True)
    assert wordpress.run().failed == 1
    # The forgery may be read before the callback has ended, or after it.
    told = wordpress.log(bad)[2].removeprefix("action failed via wpbridge: ")
    assert told == "after a forgery" or told.startswith("PHP was ended, because")


def test_programs_that_a_callback_starts_do_not_have_the_answers(wordpress: PhpSite) -> None:
    action_id = wordpress.enqueue("t_child_answers")
    wordpress.run()
    [[code, has_ffi]] = wordpress.records("child")
    if not has_ffi:
        pytest.skip("PHP has no FFI here, so it cannot close descriptors to its children")
    assert (code, wordpress.state(action_id)[0]) == (0, "complete")


def test_the_secret_of_the_answers_is_in_no_dump(wordpress: PhpSite) -> None:
    wordpress.enqueue("t_secret")
    assert wordpress.run().complete == 1
    assert wordpress.records("secret") == [[32, False, False]]


def test_an_error_with_a_message_that_is_no_text_is_told(wordpress: PhpSite) -> None:
    action_id = wordpress.enqueue("t_odd_error")
    assert wordpress.run().failed == 1
    assert wordpress.log(action_id)[2] == "action failed via wpbridge: Array"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_that_comes_back_says_nothing(wordpress: PhpSite) -> None:
    action_id = wordpress.enqueue("t_fork_and_return")
    wordpress.enqueue("t_defer")
    wordpress.run()
    if "pcntl_fork" in wordpress.log(action_id)[2]:
        pytest.skip("PHP has no pcntl here")
    assert wordpress.state(action_id)[:2] == ("complete", 1)
    assert wordpress.log(action_id)[1:] == [
        "action started via wpbridge",
        "action complete via wpbridge",
    ]
    assert wordpress.records("deferred") == [[]]


@pytest.mark.parametrize("hook", ["t_warning", "t_echo", "t_kill_connection"])
def test_noise_is_no_failure(wordpress: PhpSite, hook: str) -> None:
    noisy = wordpress.enqueue(hook)
    wordpress.enqueue("t_use_database")
    totals = wordpress.run()
    assert (totals.complete, totals.failed) == (2, 0)
    assert wordpress.log(noisy)[-1] == "action complete via wpbridge"
    assert wordpress.records("blogname") == [["Site"]]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_that_exits_is_not_the_worker(wordpress: PhpSite) -> None:
    action_id = wordpress.enqueue("t_fork")
    wordpress.run()
    status = wordpress.state(action_id)[0]
    # Without the pcntl extension the callback fails, which is an answer too.
    assert status == "complete" or "pcntl_fork" in wordpress.log(action_id)[2]


def test_nothing_of_one_action_is_left_to_the_next(wordpress: PhpSite) -> None:
    wordpress.enqueue("t_look")
    wordpress.enqueue("t_dirty")
    wordpress.enqueue("t_look")
    assert wordpress.run().complete == 3
    clean, after_dirt = wordpress.records("look")
    assert after_dirt == clean
    assert clean[0][-1] == "rolled back"


def test_the_callback_finds_its_own_row_in_progress(wordpress: PhpSite) -> None:
    wordpress.enqueue("t_own_row")
    wordpress.run()
    assert wordpress.records("own") == [[["in-progress 1"]]]


def test_a_hook_without_callbacks_is_held_untouched(wordpress: PhpSite) -> None:
    held = [wordpress.enqueue("t_nobody", n) for n in range(3)]
    good = wordpress.enqueue("t_noop")
    totals = wordpress.run()
    assert (totals.complete, totals.held, totals.failed) == (1, 3, 0)
    assert wordpress.state(good)[0] == "complete"
    for action_id in held:
        assert wordpress.state(action_id) == ("pending", 0, 0)
        assert wordpress.log(action_id) == ["action created"]
    store = wordpress.open()
    assert query(store, "SELECT * FROM wp_actionscheduler_claims") == []
    store.close()


def test_a_hook_without_callbacks_fails_as_in_the_plugin_when_told_to(wordpress: PhpSite) -> None:
    action_id = wordpress.enqueue("t_nobody")
    assert wordpress.run(missing_callback="fail").failed == 1
    assert wordpress.log(action_id)[2] == (
        "action failed via wpbridge: Scheduled action for t_nobody will not be executed as no"
        " callbacks are registered."
    )


def test_an_action_over_its_time_is_ended_with_its_children(wordpress: PhpSite) -> None:
    late = wordpress.enqueue("t_hang")
    others = [wordpress.enqueue("t_noop") for _ in range(3)]
    totals = wordpress.run(php_timeout="1s")
    assert (totals.complete, totals.failed) == (3, 1)
    assert wordpress.log(late)[2] == (
        "action failed via wpbridge: ran longer than 1 s and was ended"
    )
    assert all(wordpress.state(i)[0] == "complete" for i in others)
    [[pid]] = wordpress.records("hang")
    assert not Path(f"/proc/{pid}").exists()


def test_a_recurring_action_goes_on_after_a_crash(wordpress: PhpSite) -> None:
    wordpress.enqueue("t_exit", interval=3600)
    wordpress.run()
    store = wordpress.open()
    rows = query(store, "SELECT status FROM wp_actionscheduler_actions ORDER BY action_id")
    store.close()
    assert [str(r[0]) for r in rows] == ["failed", "pending"]


def test_a_crashed_action_can_be_tried_again(wordpress: PhpSite) -> None:
    action_id = wordpress.enqueue("t_signal", 9)
    totals = wordpress.run(on_crash="retry")
    assert (totals.retried, totals.failed) == (1, 0)
    assert wordpress.state(action_id) == ("pending", 1, 0)
    assert "signal 9 (SIGKILL" in wordpress.log(action_id)[2]
    for _ in range(2):
        store = wordpress.open()
        change(store, "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = '2020-01-01'")
        store.close()
        wordpress.run(on_crash="retry")
    assert wordpress.state(action_id)[:2] == ("failed", 3)


def test_a_callback_that_throws_is_tried_again_by_a_rule(wordpress: PhpSite) -> None:
    bad = wordpress.enqueue("t_throw", interval=3600)
    rule = {"hook": "t_thr*", "error": "LogicException", "max_attempts": 2, "base": "1s"}
    totals = wordpress.run(retry=[rule])
    assert (totals.retried, totals.failed) == (1, 0)
    assert wordpress.state(bad) == ("pending", 1, 0)
    assert re.match(r"action retry via wpbridge: retry 2 of 2 in 1 s: boom", wordpress.log(bad)[-1])
    store = wordpress.open()
    change(store, "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = '2020-01-01'")
    totals = wordpress.run(retry=[rule])
    assert (totals.retried, totals.failed) == (0, 1)
    assert wordpress.state(bad)[:2] == ("failed", 2)
    # The chain goes on only now.
    assert store.counts() == {"failed": 1, "pending": 1}
    store.close()


def test_workers_are_replaced_after_so_many_actions(wordpress: PhpSite) -> None:
    for n in range(10):
        wordpress.enqueue("t_pid", n)
    assert wordpress.run(php_max_actions=3).complete == 10
    told = wordpress.records("pid")
    assert [n for _, n in told] == list(range(10))
    pids = [pid for pid, _ in told]
    assert len(set(pids)) >= 3
    assert all(pids.count(pid) <= 3 for pid in pids)


def test_a_leaking_worker_is_replaced(wordpress: PhpSite) -> None:
    for n in range(12):
        wordpress.enqueue("t_leak")
        wordpress.enqueue("t_pid", n)
    assert wordpress.run(php_max_memory="80M").complete == 24
    assert len({pid for pid, _ in wordpress.records("pid")}) >= 2


def test_what_was_put_off_to_the_end_of_the_process_is_done(wordpress: PhpSite) -> None:
    wordpress.enqueue("t_defer")
    wordpress.run()
    assert wordpress.records("deferred") == [[]]


def test_several_workers_share_the_work(wordpress: PhpSite, go: Path) -> None:
    for hook in ("t_wait", "t_pid"):
        wordpress.enqueue(hook)

    def let_go() -> None:
        until(lambda: wordpress.records("pid"), "the second worker")
        go.touch()

    thread = threading.Thread(target=let_go, daemon=True)
    thread.start()
    # The first one waits for what only another one can run.
    assert wordpress.run(php_workers=2, php_timeout="120s").complete == 2
    thread.join()


def test_a_wordpress_that_does_not_start_costs_nothing(wordpress: PhpSite) -> None:
    broken = wordpress.folder / "wp-content" / "mu-plugins" / "broken.php"
    action_id = wordpress.enqueue("t_noop")
    broken.write_text("<?php throw new RuntimeException( 'plugin broken at boot' );")
    try:
        runner, store = wordpress.runner()
        totals = runner.run()
        store.close()
    finally:
        broken.unlink()
    assert (totals.complete, totals.failed, totals.held) == (0, 0, 1)
    assert "WordPress does not start" in (runner.trouble() or "")
    assert "plugin broken at boot" in (runner.trouble() or "")
    assert wordpress.state(action_id) == ("pending", 0, 0)
    assert wordpress.log(action_id) == ["action created"]
    assert wordpress.run().complete == 1


def test_a_program_that_is_not_there_costs_nothing(wordpress: PhpSite) -> None:
    action_id = wordpress.enqueue("t_noop")
    runner, store = wordpress.runner(wp="/nowhere/wp")
    totals = runner.run()
    store.close()
    assert totals.held == 1
    assert "/nowhere/wp" in (runner.trouble() or "") or "not found" in (runner.trouble() or "")
    assert wordpress.state(action_id) == ("pending", 0, 0)


def test_one_crash_in_a_hundred_disturbs_nobody(wordpress: PhpSite) -> None:
    good = ["t_noop"] * 150
    ids = wordpress.enqueue_all(["t_exit"] * 3, good, ["t_signal", "t_oom"], good)
    bad = [*ids[:3], *ids[153:155]]
    totals = wordpress.run(php_workers=2, batch_size=100)
    assert (totals.complete, totals.failed, totals.lost) == (300, 5, 0)
    assert {wordpress.state(i)[:2] for i in bad} == {("failed", 1)}
    store = wordpress.open()
    logs = query(
        store,
        "SELECT a.status, COUNT(*) FROM wp_actionscheduler_actions a"
        " JOIN wp_actionscheduler_logs l USING (action_id)"
        " WHERE a.hook = 't_noop' GROUP BY a.action_id HAVING COUNT(*) <> 3",
    )
    store.close()
    assert logs == []


def test_a_prefix_that_passes_only_stdin_stdout_and_stderr(
    wordpress: PhpSite, tmp_path: Path
) -> None:
    prefix = tmp_path / "into-the-container"
    # As docker exec: another folder, no descriptors but the three, nothing of our environment.
    prefix.write_text(
        f"#!/bin/sh\ncd {shlex.quote(str(wordpress.folder))}\n"
        # And with a word of welcome, as of a login over ssh.
        "printf 'Welcome!\\n[1]\\nLast login: today'\n"
        'exec env -i PATH="$PATH" sh -c \'exec "$@" 3<&- 4<&-\' sh "$@"\n'
    )
    prefix.chmod(0o755)
    wordpress.enqueue("t_args", "through a prefix")
    wordpress.enqueue("t_echo")
    bad = wordpress.enqueue("t_exit")
    wordpress.enqueue("t_noop")
    totals = wordpress.run(wp=shlex.join([str(prefix), *wordpress.wp]))
    assert (totals.complete, totals.failed) == (3, 1)
    assert wordpress.records("args") == [[["through a prefix"]]]
    assert "ended PHP with exit (status 3)" in wordpress.log(bad)[2]


def test_a_hanging_action_behind_a_prefix_is_ended_too(wordpress: PhpSite, tmp_path: Path) -> None:
    prefix = tmp_path / "into-the-container"
    # Its processes are not in our group, as those of a container.
    folder = shlex.quote(str(wordpress.folder))
    prefix.write_text(f'#!/bin/sh\ncd {folder}\nexec setsid -w "$@"\n')
    prefix.chmod(0o755)
    late = wordpress.enqueue("t_hang")
    totals = wordpress.run(wp=shlex.join([str(prefix), *wordpress.wp]), php_timeout="1s")
    assert totals.failed == 1
    assert "ran longer than 1 s" in wordpress.log(late)[2]
    [[pid]] = wordpress.records("hang")
    wait_until_gone(pid)


def wait_until_gone(pid: int) -> None:
    """The other side needs a moment to see that we hung up."""
    until(lambda: not Path(f"/proc/{pid}").exists(), f"the end of process {pid}")


def test_another_database_than_the_queues_is_refused(wordpress: PhpSite, mysql_dsn: str) -> None:
    store = make_store(DatabaseAddress.from_dsn(mysql_dsn), "wp_")
    now = SystemClock().now()
    [action_id] = store.insert([make_new("t_noop", now=now)], now=now)
    runner, other = wordpress.runner(dsn=mysql_dsn)
    totals = runner.run()
    other.close()
    assert (totals.held, totals.complete) == (1, 0)
    assert "another database" in (runner.trouble() or "")
    rows = query(store, "SELECT status, attempts, claim_id FROM wp_actionscheduler_actions")
    assert [tuple(map(str, r)) for r in rows] == [("pending", "0", "0")]
    assert action_id
    store.close()


def test_events_are_those_of_the_plugins_runner(wordpress: PhpSite) -> None:
    wordpress.listen()
    good = wordpress.enqueue("t_noop")
    bad = wordpress.enqueue("t_throw")
    wordpress.run()
    action = "ActionScheduler_Action" if wordpress.has_plugin else None
    assert wordpress.records() == [
        ["before_process_queue", [""]],
        ["before_execute", [good, "wpbridge"]],
        ["begin_execute", [good, "wpbridge"]],
        ["after_execute", [good, action, "wpbridge"]],
        ["completed_action", [good]],
        ["before_execute", [bad, "wpbridge"]],
        ["begin_execute", [bad, "wpbridge"]],
        ["failed_execution", [bad, "Exception", "wpbridge"]],
        ["after_process_queue", [""]],
    ]


def test_an_action_canceled_after_the_claim_is_ignored_as_by_the_plugin(
    wordpress: PhpSite, go: Path
) -> None:
    wordpress.listen()
    slow = wordpress.enqueue("t_wait")
    canceled = wordpress.enqueue("t_args", "must not run")
    runner, store = wordpress.runner()
    other = wordpress.open()
    done = threading.Event()

    def cancel_when_it_runs() -> None:
        while not done.wait(0.02):
            rows = query(
                other,
                "SELECT status FROM wp_actionscheduler_actions WHERE action_id = :i",
                i=slow,
            )
            if str(rows[0][0]) == "in-progress":
                change(
                    other,
                    "UPDATE wp_actionscheduler_actions SET status = 'canceled'"
                    " WHERE action_id = :i AND status = 'pending'",
                    i=canceled,
                )
                go.touch()
                return

    thread = threading.Thread(target=cancel_when_it_runs, daemon=True)
    thread.start()
    totals = runner.run()
    done.set()
    thread.join()
    other.close()
    store.close()
    assert (totals.complete, totals.lost) == (1, 1)
    assert wordpress.records("args") == []
    assert wordpress.state(canceled)[0] == "canceled"
    assert wordpress.log(canceled) == ["action created", "action ignored via wpbridge"]
    told = [one for one in wordpress.records() if one[1:] == [[canceled, "wpbridge"]]]
    assert told == [
        ["before_execute", [canceled, "wpbridge"]],
        ["execution_ignored", [canceled, "wpbridge"]],
    ]


def test_a_drained_run_ends_what_runs_and_frees_the_rest(wordpress: PhpSite, go: Path) -> None:
    running = wordpress.enqueue("t_wait")
    waiting = [wordpress.enqueue("t_noop") for _ in range(20)]
    runner, store = wordpress.runner()

    def stop_when_it_runs() -> None:
        other = wordpress.open()
        while (
            str(
                query(other, "SELECT status FROM wp_actionscheduler_actions ORDER BY action_id")[0][
                    0
                ]
            )
            == "pending"
        ):
            threading.Event().wait(0.02)
        runner.stop()
        other.close()
        go.touch()

    thread = threading.Thread(target=stop_when_it_runs, daemon=True)
    thread.start()
    totals = runner.run()
    thread.join()
    store.close()
    assert wordpress.state(running)[0] == "complete"
    assert totals.complete + totals.released == 21
    assert totals.released > 0
    for action_id in waiting:
        assert wordpress.state(action_id)[0] in ("pending", "complete")
        assert wordpress.state(action_id)[2] == 0 or wordpress.state(action_id)[0] == "complete"


def test_a_worker_killed_from_outside(wordpress: PhpSite) -> None:
    victim = wordpress.enqueue("t_hang")
    others = [wordpress.enqueue("t_noop") for _ in range(3)]

    def kill_when_it_hangs() -> None:
        while not wordpress.records("hang"):
            threading.Event().wait(0.02)
        os.kill(wordpress.records("hang")[0][0], signal.SIGKILL)

    thread = threading.Thread(target=kill_when_it_hangs, daemon=True)
    thread.start()
    totals = wordpress.run()
    thread.join()
    assert (totals.complete, totals.failed) == (3, 1)
    assert "ended by signal 9 (SIGKILL" in wordpress.log(victim)[2]
    assert all(wordpress.state(i)[0] == "complete" for i in others)


def test_what_was_sent_before_the_host_was_suspended_comes_back(
    wordpress: PhpSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runner judges again whether it still may start it; here it may."""
    worker = tmp_path / "worker.php"
    code = php_launch.WORKER.read_text(encoding="utf-8")
    worker.write_text(code.replace("microtime( true )", "t_time()"), encoding="utf-8")
    monkeypatch.setattr(php_launch, "WORKER", worker)
    came_back: list[int] = []
    take_back = Inbox.take_back

    def watched(inbox: Inbox, calls: Sequence[Sent]) -> None:
        came_back.extend(sent.call.action.id for sent in calls)
        take_back(inbox, calls)

    monkeypatch.setattr(Inbox, "take_back", watched)
    wordpress.enqueue("t_suspend")
    behind = [wordpress.enqueue("t_pid", n) for n in range(3)]
    totals = wordpress.run()
    assert came_back == behind[:1]
    assert totals.complete == 4
    assert [n for _, n in wordpress.records("pid")] == [0, 1, 2]


@pytest.mark.parametrize("how", ["canceled", "forgotten"])
def test_workers_keep_no_place_for_what_the_runner_has_lost(
    wordpress: PhpSite, go: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The others wait for the only worker when they are lost; one more is added meanwhile."""
    monkeypatch.setattr(presence, "BEAT_SECONDS", 0.5)
    first = wordpress.enqueue("t_wait")
    others = [wordpress.enqueue("t_noop") for _ in range(3)]
    late: list[int] = []
    runner, store = wordpress.runner()
    beside = wordpress.open()

    def lose_the_others() -> None:
        until(lambda: wordpress.records("wait"), "the callback")
        if how == "canceled":
            actions = "wp_actionscheduler_actions SET status = 'canceled' WHERE hook = 't_noop'"
            change(beside, f"UPDATE {actions}")
        else:
            change(beside, "UPDATE wp_wpbridge_runners SET writes = writes - 1")
        until(lambda: runner.totals.lost >= 3, "the loss")
        late.append(wordpress.enqueue("t_noop"))
        go.touch()

    thread = threading.Thread(target=lose_the_others, daemon=True)
    thread.start()
    try:
        runner.run()
    finally:
        go.touch()
        thread.join()
        beside.close()
        store.close()
    assert wordpress.state(first)[0] == "complete"
    assert wordpress.state(late[0])[0] == "complete"
    ended = "complete" if how == "forgotten" else "canceled"
    assert [wordpress.state(one)[0] for one in others] == [ended] * 3


def test_how_soon_actions_start_and_which_workers_are_replaced_is_counted(
    wordpress: PhpSite,
) -> None:
    for _ in range(5):
        wordpress.enqueue("t_noop")
    wordpress.enqueue("t_signal", 9)
    runner, store = wordpress.runner(php_max_actions=2)
    take = runner.counter.metrics()
    runner.run()
    store.close()
    told = take()
    started = told.histograms["wpbridge_php_dispatch_seconds", ()]
    assert sum(started[1:]) == 6
    restarts = {
        labels[0]: n
        for (name, labels), n in told.values.items()
        if name == "wpbridge_php_worker_restarts_total"
    }
    assert restarts["died"] == 1
    assert restarts["used_up"] >= 1
