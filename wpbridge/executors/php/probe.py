"""One worker, asked who it is and which hooks it knows: for `check` and `hooks`."""

import select
import signal
from collections.abc import Collection
from typing import Any

from wpbridge.errors import WpCliError
from wpbridge.executors.php import frames
from wpbridge.executors.php import worker as php_worker
from wpbridge.executors.php.frames import Answer, Has, Hello
from wpbridge.executors.php.launch import Launch
from wpbridge.executors.php.worker import PhpWorker
from wpbridge.executors.pools.answers import Stray
from wpbridge.executors.pools.worker import now
from wpbridge.outcome import Failed

_ACCEPTED_STORES = ("ActionScheduler_DBStore", "ActionScheduler_HybridStore")


def interview(
    launch: Launch, hooks: Collection[str] = (), *, timeout_seconds: float = 60.0
) -> tuple[Hello, dict[str, bool]]:
    """Load WordPress once; which of the hooks have callbacks there.

    WpCliError with WordPress's own words when it does not start.
    """
    try:
        child, first = launch.start()
    except OSError as error:
        raise WpCliError(f"PHP could not be started: {error}", exit_code=127) from error
    worker = PhpWorker(child=child, born=now(), is_behind_prefix=not launch.is_local)
    worker.post(first)
    worker.greet(context="wpbridge", books="bridge", missing="hold", memory=0, runner=None)
    worker.ask({"do": "has", "hooks": sorted(hooks)})
    try:
        return _listen(worker, now() + timeout_seconds)
    finally:
        child.kill(signal.SIGKILL)
        worker.close()


def _listen(worker: PhpWorker, until: float) -> tuple[Hello, dict[str, bool]]:
    while True:
        has_ended = worker.child.has_ended()
        worker.flush()
        for answer in worker.hear():
            match _read(worker, answer):
                case Hello() as hello:
                    worker.hello, worker.is_ready = hello, True
                case Has(hooks=has) if worker.hello:
                    return worker.hello, has
        worker.listen()
        if now() >= until:
            worker.killed = Failed(reason="WordPress did not start in time")
        if has_ended or worker.killed:
            code = worker.child.process.wait() if has_ended else 1
            words = php_worker.boot_failure(worker, code)
            raise WpCliError(f"WordPress does not start: {words}", exit_code=code or 1)
        select.select([worker.child.answers, worker.child.output], [], [], 0.05)


def _read(worker: PhpWorker, answer: dict[str, Any] | Stray) -> Answer | None:
    """The answer; what is none ends the worker."""
    if isinstance(answer, dict):
        try:
            return frames.read(answer)
        except ValueError as error:
            answer = worker.answers.stray(str(error), answer)
    worker.killed = php_worker.spoilt(answer)
    return None


def refusal(hello: Hello, *, prefix: str, bookkeeping: str) -> str | None:
    """Return why a worker must not run this queue's actions; None when it may.

    Args:
        hello: what it said.
        prefix: the queue's table prefix.
        bookkeeping: ``native`` needs the plugin itself.
    """
    if hello.prefix != prefix:
        return (
            f"PHP workers load a WordPress with the table prefix {hello.prefix}, but the queue's is"
            f" {prefix}: name the right site with --path and --url"
        )
    if hello.sees_runner is False:
        return (
            "PHP workers load a WordPress that uses another database than this queue's: --path"
            " and --dsn do not belong together"
        )
    if hello.action_scheduler is None:
        inactive = "Action Scheduler is not active in this WordPress"
        return inactive if bookkeeping == "native" else None
    if hello.store not in _ACCEPTED_STORES:
        return (
            f"Action Scheduler uses the store {hello.store} there: its tables are not the truth,"
            " so wpbridge must not run them"
        )
    return None


def notes(hello: Hello) -> list[str]:
    """What is worth knowing of a worker that may be used."""
    found = []
    if hello.action_scheduler is None:
        found.append("Action Scheduler is not active in this WordPress; only hooks are run")
    if hello.store == "ActionScheduler_HybridStore":
        found.append(
            "Action Scheduler uses its hybrid store: the migration from posts is not finished;"
            " new actions go to the tables and are run, older ones may still be posts"
        )
    if hello.logger not in (None, "ActionScheduler_DBLogger"):
        found.append(f"the log goes through {hello.logger}; wpbridge writes the logs table itself")
    return found
