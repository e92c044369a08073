"""Find out who sends a request, and count the requests of each."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request

from wpbridge.access.caller import Caller, NotKnown, TooMany
from wpbridge.access.callers import Callers
from wpbridge.access.rates import Rates
from wpbridge.errors import StoreError
from wpbridge.web.problems import NO_DATABASE, Problem

Gate = Callable[[Request, bool], Awaitable[Caller]]
"""Says who calls; raises a Problem for somebody unknown. Told whether a token may come as
``?token=``."""
TOKEN: Final = "token"  # noqa: S105 - the name of a parameter
"""The parameter that has a token, for browsers that cannot send a header."""


def gate_of(callers: Callers, rates: Rates) -> Gate:
    """Return the gate of a running gateway."""

    async def identify(request: Request, takes_tokens: bool) -> Caller:  # noqa: FBT001 - by place
        given = request.headers.getlist("authorization")
        if len(given) > 1:
            raise Problem("bad-request", "give Authorization once")
        told = given[0] if given else None
        is_asked = takes_tokens and b"token=" in request.scope["query_string"]
        token = request.query_params.get(TOKEN) if is_asked else None
        try:
            caller = callers.remembered(told, token)
            if caller is None:
                address = request.client.host if request.client else ""
                caller = await asyncio.to_thread(callers.identify, told, token, address)
            rates.take(caller)
        except NotKnown as error:
            raise Problem("not-known", str(error)) from None
        except TooMany as error:
            wait = error.retry_after_seconds
            raise Problem("too-many", str(error), retry_after_seconds=wait) from None
        except StoreError:
            raise Problem("unavailable", NO_DATABASE, retry_after_seconds=5.0) from None
        return caller

    return identify
