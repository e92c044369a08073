"""Find out who sends a request, and count the requests of each."""

import asyncio
from collections.abc import Awaitable, Callable

from starlette.requests import Request

from wpbridge.access.caller import Caller, NotKnown, TooMany
from wpbridge.access.callers import Callers
from wpbridge.access.rates import Rates
from wpbridge.web.problems import Problem

Gate = Callable[[Request], Awaitable[Caller]]
"""Says who calls; raises a Problem for somebody unknown."""


def gate_of(callers: Callers) -> Gate:
    """Return the gate of a running gateway."""
    rates = Rates()

    async def identify(request: Request) -> Caller:
        given = request.headers.getlist("authorization")
        if len(given) > 1:
            raise Problem("bad-request", "give Authorization once")
        told = given[0] if given else None
        try:
            caller = callers.remembered(told, None)
            if caller is None:
                address = request.client.host if request.client else ""
                caller = await asyncio.to_thread(callers.identify, told, None, address)
            rates.take(caller)
        except NotKnown as error:
            raise Problem("not-known", str(error)) from None
        except TooMany as error:
            wait = error.retry_after_seconds
            raise Problem("too-many", str(error), retry_after_seconds=wait) from None
        return caller

    return identify
