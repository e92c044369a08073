"""Callbacks from the command line: who runs them, and what a command says of them."""

import json

from cli_helpers import Site, is_one_line
from receiver import Receiver, canceled_with_callback
from rows import column
from wpbridge.action import CALLBACK_HOOK


def test_a_callback_is_shown_and_run_as_any_action(lite: Site, receiver: Receiver) -> None:
    callback, _ = canceled_with_callback(lite.store, receiver)
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
    callback, _ = canceled_with_callback(lite.store, receiver)
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
