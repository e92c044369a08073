"""What a handler's author writes type-checks under mypy --strict."""

from datetime import timedelta

from wpbridge import Cancel, Context, Retry, hook
from wpbridge.handlers import describe


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


def test_the_decorator_leaves_functions_as_they_are() -> None:
    assert describe("typed_sync", sync).most_values == 1
    assert describe("typed_async", asynchronous).is_async
    assert describe("typed_isolated", isolated, isolate=True).isolate
    assert describe("typed_seconds", within_seconds, timeout=2.5).timeout == timedelta(seconds=2.5)
