"""Find out who sends a request."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request

from wpbridge.dataclass import dataclass
from wpbridge.site.config import Settings
from wpbridge.web.calls import Caller, Parts, Right
from wpbridge.web.problems import Problem


@dataclass(frozen=True, slots=True)
class _Anybody:
    key_name: str
    only_job: str | None = None

    def may(self, right: Right) -> bool:
        del right
        return True

    def may_enqueue(self, hook: str, group: str) -> bool:
        del hook, group
        return True


def gate_of(settings: Settings) -> Callable[[Parts], Callable[[Request], Awaitable[Caller]]]:
    """Return what makes the gate of a running gateway."""
    del settings

    def gate(parts: Parts) -> Callable[[Request], Awaitable[Caller]]:
        del parts

        async def identify(request: Request) -> Caller:
            told = request.headers.get("authorization", "")
            if not told.startswith("Bearer "):
                raise Problem("not-known", "send Authorization: Bearer KEY")
            return _Anybody(told.removeprefix("Bearer ")[:64])

        return identify

    return gate
