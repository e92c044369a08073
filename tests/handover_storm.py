"""Storms over what is handed over to Celery: relays, workers, their broker and the database die.

They are rounds as those of :mod:`storm`, with the same evidence and the same invariants. Besides,
each process of a worker writes down what it has taken over: no fence may start anything twice.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pymysql

import evidence
import storm
import warm
from brokers import Broker
from daemons import until
from evidence import Kill
from handover import ROOT
from proxy import Proxy
from rows import query
from servers import MariaDB
from storm import INNOCENT, Plan, Storm, Weathered, processes
from wpbridge.executors.celery.broker import Broker as OurBroker
from wpbridge.executors.celery.messages import Message, Wake, wake
from wpbridge.queue.through import site_mark
from wpbridge.store.running.fences import runner_name
from wpbridge.store.running.ownership import runners

TAKES: Final = '''
"""Writes down what is taken over, and by which fence."""

import os

from wpbridge import hook
from wpbridge.store.running.claiming import Claiming

_TAKEN = os.open("taken", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_claim = Claiming.claim_handed


def claim_handed(self, handed, **more):
    made = _claim(self, handed, **more)
    ids = frozenset(made.ids) if made else frozenset()
    lines = [f"{h.action_id} {h.claim_id} {h.relay}" for h in handed if h.action_id in ids]
    os.write(_TAKEN, "".join(f"{line}\\n" for line in lines).encode())
    return made


Claiming.claim_handed = claim_handed


@hook("takes")
def takes():
    """No action has this hook: a module of handlers needs one."""
'''
PHP_HOOKS: Final = ("quick", "awaited")
"""What the runner that stands for PHP's runs beside the workers."""
MIX: Final = {
    "quick": 700,
    "awaited": 80,
    "parent": 20,
    "flaky": 20,
    "once": 60,
    "once_slow": 4,
    "slow": 8,
    "iso": 10,
    "iso_slow": 2,
}
LOCAL: Final = "awaited"
"""The hook that a daemon of the storm's runs itself."""


KOMBU_ENDS: Final = (
    "AttributeError: 'NoneType' object has no attribute 'hostname'",
    "AttributeError: 'list' object has no attribute 'get'",
)
"""How a worker sometimes ends with kombu 5.7 when its broker goes away: Redis, to which kombu gives
a message back over a connection that it has closed, and SQS, of whose error it makes a list. A
service manager starts the worker anew."""
SILENT_SECONDS: Final = 60.0
"""After so long without an ending, workers of SQS are taken for ones that take nothing more. With
kombu 5.7 a worker sometimes lives on and asks no more after its queue was away."""
MEMBER_SECONDS: Final = 60.0
"""A relay or a worker that is told to end must have ended by then."""


class HandoverStorm(Storm):
    """One round while it goes on."""

    def __init__(
        self, plan: Plan, seed: int, folder: Path, server: MariaDB, broker: Broker
    ) -> None:
        super().__init__(plan, seed, folder, server)
        self.broker = broker
        self.proxy = Proxy(("127.0.0.1", broker.port))
        self.url = broker.url.replace(f":{broker.port}", f":{self.proxy.port}")
        self.queue = f"s{seed}"
        self.relays: list[Member] = []
        self.celeries: list[Member] = []
        self._members = itertools.count(1)
        self._old: list[Message] = []
        """Messages whose actions waited once."""
        self._ended = (0, time.monotonic())
        """How many actions had ended, and since when it is that many."""

    # The queue and its runners

    def prepare(self) -> None:
        super().prepare()
        (self.folder / "storm_takes.py").write_text(TAKES, encoding="utf-8")
        options = "".join(
            f"{name} = {json.dumps(value)}\n"
            for name, value in self.broker.transport_options.items()
        )
        text = (self.folder / "wpbridge.toml").read_text(encoding="utf-8")
        (self.folder / "wpbridge.toml").write_text(
            text.replace('"storm_acts"', '"storm_acts", "storm_takes"')
            + f'[celery]\nbroker = "{self.url}"\nresend_after = "1s"\nwindow = 300\n'
            + (f"[celery.transport_options]\n{options}" if options else "")
            + f'[[routes]]\nhook = "{LOCAL}"\nto = "python"\n'
            + f'[[routes]]\nhook = "*"\nto = "celery"\nqueue = "{self.queue}"\n',
            encoding="utf-8",
        )

    def begin(self) -> None:
        """Start a daemon, two relays, and workers with both kinds of pools."""
        self.start_daemon()
        self.start_relay()
        self.start_relay()
        self.start_celery("prefork", 2)
        self.start_celery("threads", 4)
        until(lambda: len(self.workers()) == 4, "all workers")
        until(lambda: all(self._runner_of(r.process.pid) for r in self.relays), "the relays")

    def environment(self, mark: str) -> dict[str, str]:
        return {**super().environment(mark), "PYTHONPATH": str(ROOT)}

    def start_relay(self) -> None:
        self.relays.append(Member(self, ["-m", "wpbridge", "relay"], next(self._members), "r"))

    def start_celery(self, pool: str, concurrency: int) -> None:
        number = next(self._members)
        words = [
            *("-m", "celery", "-A", "wpbridge.celery_app", "worker", "--loglevel", "INFO"),
            *("--hostname", f"c{number}@localhost", "--pool", pool),
            *("--concurrency", str(concurrency), "--without-gossip", "--without-mingle"),
            *(["--max-tasks-per-child", "100"] if pool == "prefork" else []),
        ]
        self.celeries.append(Member(self, words, number, "c", pool, concurrency))

    def revive(self) -> None:
        """Start anew what was killed; nothing may have ended for another reason."""
        super().revive()
        for members in (self.relays, self.celeries):
            for one in [one for one in members if one.process.poll() is not None]:
                code = one.process.returncode
                if one.is_ended_by_kombu():
                    self.told["celery ended by kombu"] += 1
                else:
                    assert code == -signal.SIGKILL, f"{one.mark} ended with {code}: {one.log()}"
                members.remove(one)
                if one.pool:
                    self.start_celery(one.pool, one.concurrency)
                else:
                    self.start_relay()
        if self.broker.name == "sqs":
            self._kill_the_silent()

    def _kill_the_silent(self) -> None:
        """End workers that no longer take anything, as people do whom `wpbridge doctor` tells."""
        statement = (
            "SELECT COUNT(*) FROM wp_actionscheduler_actions"
            " WHERE status NOT IN ('pending', 'in-progress')"
        )
        count, now = int(str(query(self.store, statement)[0][0])), time.monotonic()
        if count != self._ended[0]:
            self._ended = count, now
        elif now - self._ended[1] > SILENT_SECONDS:
            self._ended = count, now
            for one in list(self.celeries):
                self._kill_member("silent celery killed", one)

    def workers(self) -> list[int]:
        """The processes that run handlers in threads of theirs."""
        there: list[int] = []

        def is_one_there() -> bool:
            self.revive()
            rows = query(self.store, "SELECT pid, about FROM wp_wpbridge_runners")
            # The daemon's worker has a relay beside it, with a row of its own.
            found = [(int(str(p)), json.loads(str(about))["kind"]) for p, about in rows if about]
            there[:] = [
                pid for pid, kind in found if kind in {"celery", "work"} and storm.is_there(pid)
            ]
            return bool(there)

        until(is_one_there, "a worker")
        return there

    @property
    def left(self) -> int:
        """How many actions are still to be added."""
        return self._left

    @left.setter
    def left(self, count: int) -> None:
        self._left = count

    def work_off(self, most: int, *, most_seconds: float) -> None:
        """Wait until so few actions wait, or for a while."""
        end = time.monotonic() + most_seconds
        statement = "SELECT COUNT(*) FROM wp_actionscheduler_actions WHERE status = 'pending'"
        while int(str(query(self.store, statement)[0][0])) > most and time.monotonic() < end:
            time.sleep(0.05)

    # Faults

    def kill_a_celery(self) -> None:
        """The parent, and with it all its children."""
        one = self.random.choice(self.celeries)
        self._kill_member("celery killed", one)

    def kill_a_relay(self) -> None:
        self._kill_member("relay killed", self.random.choice(self.relays))

    def _kill_member(self, what: str, one: "Member") -> None:
        self.told[what] += 1
        at = time.monotonic()
        one.process.kill()
        one.process.wait()
        until(lambda: not processes(one.mark), lambda: f"the end of {storm.described(one.mark)}")
        self.harm.kills.append(Kill(whom=one.mark, at=at, gone=time.monotonic()))
        self.revive()

    def stop_a_relay(self) -> None:
        """Stop it until others have freed what it has named; then it comes back."""
        one = self.random.choice(self.relays)
        pid = one.process.pid
        os.kill(pid, signal.SIGSTOP)
        runner = self._runner_of(pid)
        if runner is None or self._age(pid) is None:
            os.kill(pid, signal.SIGCONT)
            return
        self.told["relay stopped"] += 1
        self.feed(0.05)
        self.copy_messages()
        self.claim_and_run("--max-actions", "1")
        self.some_work()
        os.kill(pid, signal.SIGCONT)
        until(lambda: self._knows(pid, runner), "the relay to know that it was taken for dead")

    def restart_broker(self) -> None:
        self.told["broker killed"] += 1
        self.broker.stop()
        self.while_away(1.0)
        self.broker.start()

    def flush_broker(self) -> None:
        self.told["broker flushed"] += 1
        self.broker.flush()

    def copy_messages(self) -> None:
        """Send copies of messages whose actions wait, and of some that waited long ago."""
        site, fresh = site_mark(self.store.parts), list[Message]()
        pids = {one.process.pid for one in self.relays}
        for relay in [one for one in runners(self.store.parts.tables) if one.pid in pids]:
            for claim in relay.claims:
                rows = query(
                    self.store,
                    "SELECT action_id, hook FROM wp_actionscheduler_actions"
                    " WHERE claim_id = :c AND status = 'pending' LIMIT 50",
                    c=claim,
                )
                fresh += [
                    wake(
                        Wake(site, int(str(action_id)), claim, runner_name(relay)),
                        queue=self.queue,
                        hook=str(hook),
                    )
                    for action_id, hook in rows
                ]
        some = fresh + self.random.sample(self._old, min(len(self._old), 50))
        self._old = (self._old + fresh)[-2000:]
        if not some:
            return
        self.random.shuffle(some)
        self.told["messages copied"] += len(some)
        # Past the proxy: what is sent here must arrive.
        sender = OurBroker(
            self.broker.url,
            self.broker.transport_options,
            connect_seconds=30.0,
            confirm_seconds=30.0,
        )
        try:
            sender.publish(some)
        finally:
            sender.close()

    # What stands for PHP's runner

    def act_as_php(self, connection: pymysql.Connection) -> None:
        """Claim and run a few actions, statement by statement as the plugin's runner does."""
        actions, logs = "wp_actionscheduler_actions", "wp_actionscheduler_logs"

        def do(statement: str, *values: object) -> Any:
            while True:
                try:
                    with connection.cursor() as cursor:
                        cursor.execute(statement, values)
                        return cursor.lastrowid, cursor.fetchall()
                except pymysql.err.OperationalError as error:
                    if error.args[0] not in {1205, 1213}:
                        raise

        claim, _ = do(
            "INSERT INTO wp_actionscheduler_claims (date_created_gmt) VALUES (UTC_TIMESTAMP())"
        )
        do(
            f"UPDATE {actions} SET claim_id = %s, last_attempt_gmt = UTC_TIMESTAMP(),"
            " last_attempt_local = UTC_TIMESTAMP() WHERE claim_id = 0 AND status = 'pending'"
            " AND scheduled_date_gmt <= UTC_TIMESTAMP() AND hook IN %s"
            " ORDER BY priority, attempts, scheduled_date_gmt, action_id LIMIT 5",
            claim,
            PHP_HOOKS,
        )
        _, rows = do(
            f"SELECT action_id, hook, attempts FROM {actions} WHERE claim_id = %s"
            " AND status = 'pending'",
            claim,
        )
        for action_id, hook, attempts in rows:
            _, still = do(
                f"SELECT 1 FROM {actions} WHERE action_id = %s AND claim_id = %s"
                " AND status = 'pending'",
                action_id,
                claim,
            )
            if not still:
                continue
            self._log_as_php(do, logs, action_id, "action started via WP Cron")
            do(
                f"UPDATE {actions} SET attempts = attempts + 1, status = 'in-progress',"
                " last_attempt_gmt = UTC_TIMESTAMP(), last_attempt_local = UTC_TIMESTAMP()"
                " WHERE action_id = %s",
                action_id,
            )
            key = f"php.{time.monotonic_ns()}"
            for word in ("start", "end"):
                self._record(f"{word} {key} {action_id} {hook} {attempts + 1}")
            self._log_as_php(do, logs, action_id, "action complete via WP Cron")
            do(f"UPDATE {actions} SET status = 'complete' WHERE action_id = %s", action_id)
            self.told["run as PHP"] += 1
        do(f"UPDATE {actions} SET claim_id = 0 WHERE claim_id = %s AND status = 'pending'", claim)
        do("DELETE FROM wp_actionscheduler_claims WHERE claim_id = %s", claim)
        time.sleep(0.05)

    @staticmethod
    def _log_as_php(do: Any, logs: str, action_id: int, message: str) -> None:
        do(
            f"INSERT INTO {logs} (action_id, message, log_date_gmt, log_date_local)"
            " VALUES (%s, %s, UTC_TIMESTAMP(), UTC_TIMESTAMP())",
            action_id,
            message,
        )

    def _record(self, words: str) -> None:
        line = f"{words} {os.getpid()} 0 php {time.monotonic_ns()} {time.time_ns()}\n"
        with (self.folder / "record").open("ab", buffering=0) as stream:
            stream.write(line.encode())

    @contextmanager
    def php_beside(self) -> Iterator[None]:
        with self.beside(self.act_as_php):
            yield

    # The end

    def end(self) -> None:
        for one in (*self.celeries, *self.relays):
            one.process.terminate()
        for one in (*self.celeries, *self.relays):
            wanted = 0 if one.pool else 128 + signal.SIGTERM
            code = one.wait()
            # One that was started a moment ago knows no TERM yet, and has said nothing.
            is_new = code == -signal.SIGTERM and not one.log()
            assert code == wanted or is_new or one.is_ended_by_kombu(), (
                f"{one.mark} {code}: {one.log()}"
            )
        super().end()

    def verdict(self) -> Counter[str]:
        statuses = super().verdict()
        wrongs = self._wrong_takes()
        assert not wrongs, f"{len(wrongs)} wrongs: " + "\n".join(wrongs[:8])
        return statuses

    def _wrong_takes(self) -> list[str]:
        """Where a fence was used twice, or started more than one attempt."""
        file = self.folder / "taken"
        takes = Counter(file.read_text("ascii").splitlines() if file.exists() else ())
        assert takes, "nothing was taken over"
        found = [f"taken over {n} times: {fence}" for fence, n in takes.items() if n > 1]
        by_action = Counter(int(fence.split()[0]) for fence in takes.elements())
        for action_id, attempts in evidence.read(self.folder / "record").items():
            handed = [one for one in attempts if one.mark.startswith(f"{self.name}.c")]
            # A retry of a child's process, which was ended from outside, is none of a fence's.
            if len(handed) > by_action[action_id]:
                found.append(f"{action_id} was taken {by_action[action_id]} times: {attempts}")
        self.told["fences used"] += len(takes)
        return found

    def close(self) -> None:
        for one in (*self.celeries, *self.relays):
            if one.process.poll() is None:
                with suppress(ProcessLookupError):
                    one.process.kill()
        for one in (*self.celeries, *self.relays):
            one.process.wait()
        super().close()


class Member:
    """A relay or a worker of the storm's."""

    def __init__(  # noqa: PLR0917 - what it is
        self,
        it: HandoverStorm,
        words: Sequence[str],
        number: int,
        letter: str,
        pool: str = "",
        concurrency: int = 0,
    ) -> None:
        name = f"{letter}{number}"
        self.mark = f"{it.name}.{name}"
        self.pool, self.concurrency = pool, concurrency
        self._log = it.folder / f"{name}.log"
        with self._log.open("wb") as log:
            self.process = warm.Popen(
                [sys.executable, *words],
                cwd=it.folder,
                env=it.environment(name) | ({"PYTHONFAULTHANDLER": "1"} if pool else {}),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log(self) -> str:
        return self._log.read_text(errors="replace")[-9000:]

    def is_ended_by_kombu(self) -> bool:
        log = self._log.read_text(errors="replace")
        return "Unrecoverable error" in log and any(words in log for words in KOMBU_ENDS)

    def wait(self) -> int:
        """Wait for its end; a worker that hangs writes into its log what its threads do."""
        try:
            return int(self.process.wait(MEMBER_SECONDS))
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            return int(self.process.wait())


# Plans


def in_full(it: Storm) -> None:
    """Each kind of harm at least once."""
    assert isinstance(it, HandoverStorm)
    kills = (it.kill_a_worker, it.kill_a_celery, it.kill_a_relay, it.kill_a_worker, it.kill_a_relay)
    with it.php_beside():
        for _ in it.plan.times(10, least=len(kills)):
            it.feed(0.06)
            it.some_work(100)
            it.copy_messages()
            it.one_of(kills)()
        for _ in it.plan.times(10, least=5):
            it.feed(0.03)
            it.some_work(50)
            it.hurt_the_network()
        it.flush_broker()
        it.feed(0.03)
        it.stop_a_relay()
        it.stop_some_workers()
        it.restart_broker()
    it.feed(0.03)
    it.some_work(100)
    it.restart_server()
    it.copy_messages()


def briefly(it: Storm) -> None:
    """A few kills, a flush, and a restart of the broker."""
    assert isinstance(it, HandoverStorm)
    for harm in (
        it.kill_a_relay,
        it.kill_a_celery,
        it.flush_broker,
        it.kill_a_worker,
        it.restart_broker,
        it.stop_a_relay,
    ):
        it.feed(0.12)
        it.some_work(50)
        it.copy_messages()
        harm()


def for_long(seconds: float) -> Callable[[Storm], None]:
    """All kinds of harm, again and again, until all actions were added or the time is up."""

    def throw(it: Storm) -> None:
        assert isinstance(it, HandoverStorm)
        end = time.monotonic() + seconds
        harms = (
            *(it.kill_a_worker, it.kill_a_celery, it.kill_a_relay, it.kill_a_child),
            *(it.hurt_the_network, it.hurt_the_network, it.flush_broker, it.stop_a_relay),
            *(it.stop_some_workers, it.restart_broker),
        )

        def goes_on() -> bool:
            return it.left > 0 and time.monotonic() < end

        while goes_on():
            with it.php_beside():
                for _ in range(len(harms)):
                    if goes_on():
                        it.feed(0.01)
                        it.work_off(1000, most_seconds=10.0)
                        it.copy_messages()
                        it.one_of(harms)()
            it.restart_server()
        it.left = 0

    return throw


FULL: Final = Plan(
    name="handover",
    actions=8000,
    throw=in_full,
    mix=MIX,
    daemons=2,
    processes=1,
    chains=4,
)
BRIEF: Final = Plan(
    name="handover_briefly",
    actions=300,
    throw=briefly,
    mix={hook: MIX[hook] for hook in MIX if hook in INNOCENT},
    daemons=2,
    processes=1,
    chains=2,
)


def weather(plan: Plan, seed: int, folder: Path, server: MariaDB, broker: Broker) -> Weathered:
    """One round in an empty folder; raises AssertionError, with the seed in its notes."""
    began = time.monotonic()
    it = HandoverStorm(plan, seed, folder, server, broker)
    try:
        it.prepare()
        it.begin()
        plan.throw(it)
        it.drain()
        it.end()
        statuses = it.verdict()
    except BaseException as error:
        error.add_note(f"{plan.name} {broker.name} seed={seed} thrown={dict(it.told)} in {folder}")
        with suppress(Exception):
            it.dump()
        raise
    finally:
        it.close()
    return Weathered(
        plan=f"{plan.name} {broker.name}",
        seed=seed,
        statuses=statuses,
        thrown=it.told,
        seconds=time.monotonic() - began,
    )
