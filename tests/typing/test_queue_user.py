"""What somebody who enqueues writes type-checks under mypy --strict."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from wpbridge import Context, Enqueue, Query, Queue, hook
from wpbridge.action import ActionId  # noqa: TC001 - read as a user would write it
from wpbridge.store.running.runner_store import RunnerStore


@hook("typed_parent")
def parent(order_id: int, *, context: Context) -> None:
    context.enqueue("typed_child", [order_id], key="child", group="mail")
    context.enqueue("typed_later", {"order": order_id}, at=timedelta(hours=1))


def test_calls_return_what_their_types_say(
    tmp_path: object, open_queue: Callable[[str], RunnerStore]
) -> None:
    queue = Queue(open_queue(f"sqlite:///{tmp_path}/q.db").parts)
    one: ActionId | None = queue.enqueue_async("h", [1, "two"], group="g", unique=True)
    many: list[ActionId | None] = queue.enqueue_many(
        [
            Enqueue(hook="h", args={"a": 1}, at=datetime(2030, 1, 1, tzinfo=UTC)),
            Enqueue(hook="h", cron="0 3 * * *", tz="Europe/Rome", priority=5),
            Enqueue(hook="h", interval=timedelta(hours=1), at=1_900_000_000),
        ]
    )
    due: datetime | bool | None = queue.next_scheduled("h", [1, "two"])
    assert one is not None
    assert len(many) == 3
    assert due is True
    assert queue.has_scheduled("h")
    found = queue.find(Query(hooks=("h",), statuses=("pending",), limit=0))
    assert [record.id for record in queue.find(hooks=("h",), limit=1, order="id")] == [one]
    assert len(found) == queue.count(hooks=("h",)) == 4
