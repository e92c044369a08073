"""The sites that a gateway for many has open: opened once, bounded, closed when nobody asks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette

from wpbridge.errors import StoreUnavailable
from wpbridge.web.many import open_sites
from wpbridge.web.many.open_sites import Busy, OpenSites


@dataclass
class Made:
    """What was opened and closed, in order."""

    events: list[str] = field(default_factory=list)

    def of(self, name: str, *, fails: bool = False) -> Callable[[], Starlette]:
        def make() -> Starlette:
            self.events.append(f"open {name}")
            if fails:
                raise StoreUnavailable

            @asynccontextmanager
            async def lifespan(_app: Starlette) -> AsyncIterator[None]:
                yield
                self.events.append(f"close {name}")

            app = Starlette(lifespan=lifespan)
            app.state.prepare = lambda: None
            app.state.let_go = lambda: None
            return app

        return make


@pytest.fixture
def made() -> Made:
    return Made()


def run(work: Callable[[OpenSites], Awaitable[None]], most: int = 2) -> None:
    async def whole() -> None:
        sites = OpenSites(most=most)
        await work(sites)
        await sites.close()

    asyncio.run(whole())


def test_many_who_ask_at_once_have_a_site_opened_once(made: Made) -> None:
    async def work(sites: OpenSites) -> None:
        async def ask() -> None:
            async with sites.site("a", 1, made.of("a")):
                await asyncio.sleep(0)

        await asyncio.gather(*(ask() for _ in range(20)))

    run(work)
    assert made.events == ["open a", "close a"]


def test_the_one_that_nobody_has_asked_for_the_longest_is_closed(made: Made) -> None:
    async def work(sites: OpenSites) -> None:
        for name in ("a", "b", "a", "c"):
            async with sites.site(name, 1, made.of(name)):
                pass
        assert sites.names() == ["a", "c"]

    run(work)
    assert made.events[:4] == ["open a", "open b", "open c", "close b"]


def test_without_room_nobody_is_let_in_and_nobody_thrown_out(made: Made) -> None:
    async def work(sites: OpenSites) -> None:
        async with sites.site("a", 1, made.of("a")), sites.site("b", 1, made.of("b")):
            with pytest.raises(Busy):
                async with sites.site("c", 1, made.of("c")):
                    pass
            assert made.events == ["open a", "open b"]
        async with sites.site("c", 1, made.of("c")):
            pass

    run(work)


def test_a_site_that_has_changed_is_opened_anew_and_ends_what_it_answers(made: Made) -> None:
    async def work(sites: OpenSites) -> None:
        async with sites.site("a", 1, made.of("old")):
            async with sites.site("a", 2, made.of("new")):
                assert made.events == ["open old", "open new"]
            assert "close old" not in made.events
        await asyncio.sleep(0)
        assert sites.names() == ["a"]

    run(work)
    assert made.events == ["open old", "open new", "close old", "close new"]


def test_a_failure_is_told_again_without_another_attempt(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(sites: OpenSites, key: int) -> None:
        with pytest.raises(StoreUnavailable):
            async with sites.site("a", key, made.of("a", fails=True)):
                pass

    async def work(sites: OpenSites) -> None:
        await ask(sites, 1)
        await ask(sites, 1)
        assert made.events == ["open a"]
        # Another entry of the list is another site.
        await ask(sites, 2)
        assert made.events == ["open a"] * 2
        monkeypatch.setattr(open_sites, "FAILED_SECONDS", 0.0)
        await ask(sites, 3)
        await ask(sites, 3)
        assert made.events == ["open a"] * 4

    run(work)


def test_a_site_with_too_many_requests_under_way_takes_no_more(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_sites, "MOST_WAITING", 1)

    async def work(sites: OpenSites) -> None:
        async with sites.site("a", 1, made.of("a")) as found:
            found.waiting = 1
            with pytest.raises(Busy):
                async with sites.site("a", 1, made.of("a")):
                    pass
            # What has begun to answer, such as a stream of events, does not count.
            found.waiting = 0
            async with sites.site("a", 1, made.of("a")):
                pass

    run(work)
