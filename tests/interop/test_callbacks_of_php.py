"""A job that the plugin's own runner ends: it is complete at its address, and is told of once.

Needs what the tests of the companion plugin need.
"""

import json
from collections.abc import Callable

from companion_site import RUN, Site, emptied_site, made_wordpress
from receiver import Receiver
from rows import change, query
from servers import MariaDB
from wpbridge import Queue
from wpbridge.access.keys import Allowed
from wpbridge.app import own_handlers
from wpbridge.clock import SystemClock
from wpbridge.codec.keys import new_uuid
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.plugin.companion import Ownership
from wpbridge.queue.callbacks import callback_of
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import JobQueue, JobRequest
from wpbridge.runner.identity import identity
from wpbridge.runner.loop import Limits, Runner
from wpbridge.site.config import Settings
from wpbridge.store.base import ClaimFilter
from wpbridge.store.running.runner_store import RunnerStore

__all__ = ["emptied_site", "made_wordpress"]

THEIRS = "add_action('theirs', function ($order) { if (7 !== $order) exit(3); });"
TOLD = "add_action('told', function (...$all) use (&$told) { $told = $all; }, 10, 3);"


def run_callbacks(store: RunnerStore, threads: RunnerStore) -> None:
    """What any runner of wpbridge does, with no handlers of the site's."""
    handlers, clock = own_handlers(Settings()), SystemClock()
    queue = Queue(threads.parts, close_store=False)
    executor = ThreadExecutor(
        handlers, concurrency=1, clock=clock, site="s", open_queue=lambda: queue
    )
    only = ClaimFilter(hooks=frozenset(handlers))
    Runner(store, executor, clock, identity(), only=only, limits=Limits()).run()


def add(jobs: JobQueue, callback: dict[str, str]) -> str:
    uuid = new_uuid()
    told = callback_of(
        callback,
        uuid=uuid,
        hosts=["127.0.0.1"],
        allow_private=False,
        may_enqueue=lambda _hook, _group: True,
    )
    new = Enqueue(hook="theirs", args={"order": 7})
    asked = JobRequest(new=new, key_name="shop", callback=told, uuid=uuid)
    jobs.submit([jobs.prepared(asked)])
    return uuid


def test_a_job_that_php_ended_is_complete_and_told_of_once(
    site: Site, receiver: Receiver, mariadb: MariaDB, open_queue: Callable[[str], RunnerStore]
) -> None:
    site.install(Ownership())
    rights = Allowed(rights=("enqueue",), hooks=("*",), callback_hosts=("127.0.0.1",))
    keys = site.store.parts.api_keys
    keys.add("shop", "0" * 64, rights=rights.as_json(), expires_seconds=None, who="a test")
    jobs = JobQueue(site.store.parts, close_store=False)
    url = add(jobs, {"url": f"http://127.0.0.1:{receiver.server_port}/"})
    hook = add(jobs, {"hook": "told"})
    assert site.php(f"{THEIRS} {RUN}") == 2
    assert site.php(f"{THEIRS} {RUN}") == 0, "the callbacks are no work of PHP's"
    for uuid in (url, hook):
        job = jobs.job(uuid)
        assert job is not None
        assert (job.status, job.started_at is not None) == ("complete", True)
    threads = open_queue(mariadb.url("companion"))
    for _ in range(2):
        run_callbacks(site.store, threads)
    [(headers, body)] = receiver.posts
    told = json.loads(body)
    assert (told["job"], told["status"], told["args"]) == (url, "complete", {"order": 7})
    assert headers["webhook-id"] == f"cb_{url}"
    assert site.php(f"{TOLD} ActionScheduler::runner()->run();") == [hook, "complete", None]
    # The plugin has added actions of its own meanwhile.
    ours = "hook IN ('theirs', 'told', 'wpbridge_callback')"
    rows = query(site.store, f"SELECT status FROM wp_actionscheduler_actions WHERE {ours}")
    assert [status for [status] in rows] == ["complete"] * 5
    change(site.store, "DELETE FROM wp_wpbridge_api_keys")
