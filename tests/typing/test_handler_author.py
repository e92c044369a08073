"""What a handler's author writes type-checks under mypy --strict."""

from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta

from wpbridge import Cancel, Context, Retry, hook, middleware, on
from wpbridge.action import ActionId, ClaimId
from wpbridge.events import ActionEvent, ActionFailed, ActionRetried, StoreBack, StoreLost
from wpbridge.executors.handlers import describe


@hook("typed_sync")
def sync(post_id: int, *, context: Context) -> str:
    if post_id < 0:
        raise Retry(after=timedelta(minutes=5), reason="later")
    if post_id == 0:
        raise Cancel("nothing to do")
    context.log("done")
    return context.idempotency_key


@hook("typed_async", at_most_once=True)
async def asynchronous(order_id: int) -> None:
    del order_id


@hook("typed_isolated", isolate=True, timeout=timedelta(minutes=5))
def isolated(order_id: int, *, context: Context) -> None:
    left: float | None = context.seconds_left()
    if context.is_over() or context.is_stopping():
        raise Retry(after=60, reason=f"{order_id}: {left} s left until {context.deadline}")


@hook("typed_seconds", timeout=2.5)
async def within_seconds() -> None: ...


@middleware
def around(context: Context) -> Iterator[None]:
    context.log("before")
    yield


@middleware
def around_too(_context: Context) -> Generator[None, None, None]:
    yield


@on(ActionFailed)
def listens(event: ActionFailed) -> None:
    took: timedelta = event.took
    told: str = f"{event.hook} {event.reason} {took}"
    del told


@on(ActionRetried)
def listens_widely(event: ActionEvent) -> int:
    return event.action_id


@on(StoreLost, StoreBack)
def listens_to_both(event: StoreLost | StoreBack) -> None:
    if isinstance(event, StoreBack):
        del event


@on(StoreLost)  # type: ignore[arg-type]  # it would get what it does not take
def takes_another(event: ActionFailed) -> None:
    del event


@middleware  # type: ignore[type-var]  # it would get what it does not take
def takes_a_number(number: int) -> Iterator[None]:
    del number
    yield


def test_a_subscriber_is_still_a_function() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    retried = ActionRetried(
        at=at,
        action_id=ActionId(5),
        hook="h",
        group="",
        claim_id=ClaimId(1),
        attempt=1,
        took=timedelta(0),
        after=timedelta(0),
        reason="",
        next_attempt=2,
        of=5,
    )
    number: int = listens_widely(retried)
    assert number == 5


def test_the_decorator_leaves_functions_as_they_are() -> None:
    assert describe("typed_sync", sync).most_values == 1
    assert describe("typed_async", asynchronous).is_async
    assert describe("typed_isolated", isolated, isolate=True).isolate
    assert describe("typed_seconds", within_seconds, timeout=2.5).timeout == timedelta(seconds=2.5)
