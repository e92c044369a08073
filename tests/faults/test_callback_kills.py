"""A runner killed between the post of a callback and the commit of its ending."""

import os
import signal
import sys

import warm
from cli_helpers import COMMAND, Site, clean_env
from receiver import Receiver
from rows import column, query
from wpbridge.access.keys import Allowed
from wpbridge.action import CALLBACK_HOOK
from wpbridge.queue.callbacks import callback_of
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import JobQueue, JobRequest, new_uuid

RUN = ("claim-and-run", "--hooks", CALLBACK_HOOK)


def test_the_receiver_gets_it_twice_at_most_and_with_the_same_id(
    site: Site, receiver: Receiver
) -> None:
    parts = site.store.parts
    rights = Allowed(rights=("enqueue",), hooks=("*",), callback_hosts=("127.0.0.1",))
    json = rights.as_json()
    parts.api_keys.add("shop", "0" * 64, rights=json, expires_seconds=None, who="a test")
    jobs, uuid = JobQueue(parts, close_store=False), new_uuid()
    callback = callback_of(
        {"url": f"http://127.0.0.1:{receiver.server_port}/"},
        uuid=uuid,
        hosts=["127.0.0.1"],
        allow_private=False,
        may_enqueue=lambda _hook, _group: False,
    )
    asked = JobRequest(new=Enqueue(hook="h"), key_name="shop", callback=callback, uuid=uuid)
    [done] = jobs.submit([jobs.prepared(asked)])
    assert done.job is not None
    jobs.cancel([done.job.action_id])
    victim = warm.Popen(
        [*COMMAND, *RUN], cwd=site.folder, env=clean_env(site.folder, site.env), stderr=sys.stderr
    )
    receiver.met = lambda: os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    assert len(receiver.posts) == 1
    receiver.met = lambda: None
    for _ in range(2):
        assert site(*RUN).code == 0
    [[callback_id]] = query(
        site.store,
        "SELECT action_id FROM wp_actionscheduler_actions WHERE hook = :h",
        h=CALLBACK_HOOK,
    )
    assert column(site.store, "status", int(str(callback_id))) == "complete"
    assert [headers["webhook-id"] for headers, _ in receiver.posts] == [f"cb_{uuid}"] * 2
    assert receiver.posts[0][1] == receiver.posts[1][1]
