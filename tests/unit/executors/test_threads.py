"""Threads: what closing them means."""

from wpbridge.action import Action, ActionId, ClaimId, Status
from wpbridge.clock import SystemClock
from wpbridge.executors.base import Call
from wpbridge.executors.threads import ThreadExecutor
from wpbridge.handlers import describe
from wpbridge.outcome import Completed

ACTION = Action(
    id=ActionId(1), hook="h", status=Status.PENDING, scheduled_at=None, priority=10, args=b"[]",
    schedule=b"", group_id=0, group="", attempts=0, claim_id=ClaimId(1),
)  # fmt: skip


def test_it_may_be_closed_twice_after_async_handlers() -> None:
    async def handler() -> None:
        pass

    threads = ThreadExecutor(
        {"h": describe("h", handler)}, concurrency=1, clock=SystemClock(), site="s"
    )
    threads.submit(Call(action=ACTION, values=(), mapping=[]))
    (report,) = threads.reports(30)
    assert report.outcome == Completed()
    loop = threads._loop
    assert loop is not None
    threads.close()
    while not loop.is_closed():
        pass
    threads.close()
