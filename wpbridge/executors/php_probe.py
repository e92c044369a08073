"""One worker, asked who it is and which hooks it knows: for `check` and `hooks`."""

import select
import signal
from collections.abc import Collection

from wpbridge.errors import WpCliError
from wpbridge.executors import php_worker
from wpbridge.executors.php_launch import Launch
from wpbridge.executors.php_worker import Hello, PhpWorker, now

_ACCEPTED_STORES = ("ActionScheduler_DBStore", "ActionScheduler_HybridStore")


def interview(
    launch: Launch, hooks: Collection[str] = (), *, timeout_seconds: float = 60.0
) -> tuple[Hello, dict[str, bool]]:
    """Load WordPress once; which of the hooks have callbacks there.

    WpCliError with WordPress's own words when it does not start.
    """
    child, first = launch.start()
    worker = PhpWorker(child=child, born=now())
    worker.post(first)
    worker.ask({
        "do": "hello", "marker": worker.mark, "context": "wpbridge", "books": "bridge",
        "missing": "hold", "memory": 0, "runner": None,
    })  # fmt: skip
    worker.ask({"do": "has", "hooks": sorted(hooks)})
    try:
        return _listen(worker, now() + timeout_seconds)
    finally:
        child.kill(signal.SIGKILL)
        child.process.wait()
        worker.close()


def _listen(worker: PhpWorker, until: float) -> tuple[Hello, dict[str, bool]]:
    while True:
        code = worker.child.process.poll()
        worker.flush()
        for answer in worker.answers():
            if answer["is"] == "hello":
                worker.hello = Hello.from_frame(answer)
            elif answer["is"] == "has" and worker.hello:
                return worker.hello, dict(answer["hooks"])
        worker.listen()
        if code is not None or now() >= until:
            words = php_worker.boot_failure(worker, code)
            raise WpCliError(f"WordPress does not start: {words}", exit_code=code or 1)
        select.select([worker.child.answers, worker.child.output], [], [], 0.05)


def refusal(hello: Hello, *, prefix: str, books: str) -> str | None:
    """Why a worker must not run this queue's actions; None when it may.

    Args:
        hello: what it said.
        prefix: the queue's table prefix.
        books: ``native`` needs the plugin itself.
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
        return "Action Scheduler is not active in this WordPress" if books == "native" else None
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
