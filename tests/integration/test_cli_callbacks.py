"""Callbacks from the command line: who runs them, and what a command says of them."""

import json

from cli_helpers import Site, is_one_line
from receiver import Receiver
from rows import column, query
from wpbridge.access.keys import Allowed
from wpbridge.action import CALLBACK_HOOK
from wpbridge.queue.callbacks import callback_of
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.jobs import JobQueue, JobRequest, new_uuid


def canceled_with_callback(site: Site, receiver: Receiver) -> int:
    """Add a job with a callback and cancel it; return the id of the callback, which is due now."""
    parts = site.store.parts
    rights = Allowed(rights=("enqueue",), hooks=("*",), callback_hosts=("127.0.0.1",)).as_json()
    parts.api_keys.add("shop", "0" * 64, rights=rights, expires_seconds=None, who="a test")
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
    [[found]] = query(
        site.store,
        "SELECT action_id FROM wp_actionscheduler_actions WHERE hook = :h",
        h=CALLBACK_HOOK,
    )
    return int(str(found))


def test_a_callback_is_shown_and_run_as_any_action(lite: Site, receiver: Receiver) -> None:
    callback = canceled_with_callback(lite, receiver)
    rows = json.loads(lite.ok("hooks", "--format", "json"))
    [told] = [row for row in rows if row["hook"] == CALLBACK_HOOK]
    assert (told["to"], told["why"], told["pending"]) == (
        "python",
        "one of wpbridge's own hooks",
        1,
    )
    assert is_one_line(lite("claim-and-run"), 78), "it has no handlers of its own"
    assert lite("run", str(callback)).code == 0
    assert column(lite.store, "status", callback) == "complete"
    assert len(receiver.posts) == 1


def test_a_run_of_other_hooks_leaves_callbacks_alone(lite: Site, receiver: Receiver) -> None:
    callback = canceled_with_callback(lite, receiver)
    (lite.folder / "shop.py").write_text("from wpbridge import hook\n@hook('x')\ndef x(): pass\n")
    assert lite("claim-and-run", "--handlers", "shop", "--hooks", "x").code == 0
    assert column(lite.store, "status", callback) == "pending"
    assert lite("claim-and-run", "--handlers", "shop").code == 0
    assert column(lite.store, "status", callback) == "complete"


def test_handlers_of_wpbridges_own_hooks_are_refused_in_one_line(lite: Site) -> None:
    (lite.folder / "taken.py").write_text(
        "from wpbridge import hook\n@hook('wpbridge_callback')\ndef x(): pass\n"
    )
    done = lite("claim-and-run", "--handlers", "taken")
    assert is_one_line(done, 78)
    assert "hooks that begin with wpbridge_ are wpbridge's own" in done.err
