"""A runner killed between the post of a callback and the commit of its ending."""

import os
import signal
import sys
from queue import SimpleQueue

import warm
from cli_helpers import COMMAND, Site, clean_env
from receiver import Receiver, canceled_with_callback
from rows import column
from wpbridge.action import CALLBACK_HOOK

RUN = ("claim-and-run", "--hooks", CALLBACK_HOOK)


def test_the_receiver_gets_it_twice_at_most_and_with_the_same_id(
    site: Site, receiver: Receiver
) -> None:
    callback_id, uuid = canceled_with_callback(site.store, receiver)
    victims = SimpleQueue[warm.Popen]()
    receiver.met = lambda: os.kill(victims.get().pid, signal.SIGKILL)
    victim = warm.Popen(
        [*COMMAND, *RUN], cwd=site.folder, env=clean_env(site.folder, site.env), stderr=sys.stderr
    )
    victims.put(victim)
    assert victim.wait() == -signal.SIGKILL
    assert len(receiver.posts) == 1
    receiver.met = lambda: None
    for _ in range(2):
        assert site(*RUN).code == 0
    assert column(site.store, "status", callback_id) == "complete"
    assert [headers["webhook-id"] for headers, _ in receiver.posts] == [f"cb_{uuid}"] * 2
    assert receiver.posts[0][1] == receiver.posts[1][1]
