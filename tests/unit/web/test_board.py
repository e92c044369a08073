"""What all readers of the dashboard share is asked once, counts for a while, and is then renewed."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from wpbridge.errors import StoreUnavailable
from wpbridge.queue.jobs import JobQueue
from wpbridge.web.pages import board as module
from wpbridge.web.pages.board import Board


class _Session:
    statement_seconds = 0.0

    def close(self) -> None:
        pass


class _Queue:
    """A queue that nobody asks anything."""

    def __init__(self) -> None:
        self.store = self
        self.session = _Session()

    def close(self) -> None:
        pass


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock of boards, which the test moves."""
    now = [1000.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def run(test: Callable[[Board], Awaitable[None]]) -> None:
    async def whole() -> None:
        opened = Board(_Queue)  # type: ignore[arg-type]
        try:
            await test(opened)
        finally:
            await asyncio.to_thread(opened.close)

    asyncio.run(whole())


class Question:
    """A question that counts how often it is asked, and waits until it may answer."""

    def __init__(self, clock: list[float], *, takes: float = 0.0) -> None:
        self.asked = 0
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.fails = False
        self._clock, self._takes = clock, takes
        self._news = threading.Condition()

    def has_come(self, times: int) -> None:
        """Wait until it was asked so often."""
        with self._news:
            assert self._news.wait_for(lambda: self.asked >= times, 60)

    def __call__(self, _queue: JobQueue) -> int:
        with self._news:
            self.asked += 1
            number = self.asked
            self._news.notify_all()
        assert self.may_answer.wait(60)
        self._clock[0] += self._takes
        if self.fails:
            raise StoreUnavailable
        return number


async def settled(board: Board) -> None:
    """Wait until everything that is being asked for has its answer."""
    await asyncio.gather(*[kept.asking for kept in board._kept.values() if kept.asking])


def test_fifty_readers_ask_once(clock: list[float]) -> None:
    question = Question(clock)
    question.may_answer.clear()

    async def test(board: Board) -> None:
        asked = [asyncio.create_task(board.shared("a", question)) for _ in range(50)]
        await asyncio.to_thread(question.has_come, 1)
        question.may_answer.set()
        assert [seen.value for seen in await asyncio.gather(*asked)] == [1] * 50

    run(test)
    assert question.asked == 1


def test_an_answer_counts_the_longer_the_more_it_cost(clock: list[float]) -> None:
    async def asked_after(board: Board, takes: float, wait: float) -> int:
        question = Question(clock, takes=takes)
        await board.shared(repr((takes, wait)), question)
        clock[0] += wait
        await board.shared(repr((takes, wait)), question)
        await settled(board)
        return question.asked

    async def test(board: Board) -> None:
        assert await asked_after(board, 0.0, 1.9) == 1
        assert await asked_after(board, 0.0, 2.1) == 2
        assert await asked_after(board, 0.5, 9.9) == 1
        assert await asked_after(board, 0.5, 10.1) == 2
        assert await asked_after(board, 60.0, 59.0) == 1
        assert await asked_after(board, 60.0, 61.0) == 2

    run(test)


def test_who_comes_soon_after_gets_the_old_answer_at_once(clock: list[float]) -> None:
    question = Question(clock)

    async def test(board: Board) -> None:
        await board.shared("a", question)
        clock[0] += 5
        question.may_answer.clear()
        seen = await board.shared("a", question)
        assert (seen.value, seen.age_seconds) == (1, 5)
        question.may_answer.set()
        await settled(board)
        assert (await board.shared("a", question)).value == 2

    run(test)


def test_nobody_gets_an_answer_of_an_hour_ago(clock: list[float]) -> None:
    question = Question(clock)

    async def test(board: Board) -> None:
        await board.shared("a", question)
        clock[0] += 3600
        assert (await board.shared("a", question)).value == 2

    run(test)


def test_after_a_change_everything_is_asked_anew(clock: list[float]) -> None:
    question = Question(clock)

    async def test(board: Board) -> None:
        await board.shared("a", question)
        board.forget()
        assert (await board.shared("a", question)).value == 2

    run(test)


def test_a_short_trouble_shows_the_last_answer_and_a_long_one_is_told(clock: list[float]) -> None:
    question = Question(clock)

    async def test(board: Board) -> None:
        await board.shared("a", question)
        question.fails = True
        clock[0] += 40
        assert (await board.shared("a", question)).value == 1
        clock[0] += 200
        with pytest.raises(StoreUnavailable):
            await board.shared("a", question)
        question.fails = False
        assert (await board.shared("a", question)).value == question.asked

    run(test)


def test_a_reader_who_goes_away_takes_nothing_from_the_others(clock: list[float]) -> None:
    question = Question(clock)
    question.may_answer.clear()

    async def test(board: Board) -> None:
        gone = asyncio.create_task(board.shared("a", question))
        stays = asyncio.create_task(board.shared("a", question))
        await asyncio.to_thread(question.has_come, 1)
        gone.cancel()
        question.may_answer.set()
        assert (await stays).value == 1

    run(test)


def test_the_least_asked_questions_are_forgotten(clock: list[float]) -> None:
    questions: dict[str, Any] = {}

    async def test(board: Board) -> None:
        for number in range(module._MOST_KEPT + 1):
            questions[str(number)] = Question(clock)
            await board.shared(str(number), questions[str(number)])
        await board.shared("0", questions["0"])

    run(test)
    assert questions["0"].asked == 2
    assert questions["1"].asked == 1


class _Answer:
    """Something whose end a test can notice."""


def test_what_nobody_is_shown_any_more_is_not_kept(clock: list[float]) -> None:
    """Addresses may name what nobody ever asks for again."""

    async def test(board: Board) -> None:
        async def asked(key: str) -> "weakref.ref[_Answer]":
            return weakref.ref((await board.shared(key, lambda _queue: _Answer())).value)

        old = [await asked(f"hook {n}") for n in range(5)]
        clock[0] += 80
        young = await asked("hook 5")
        gc.collect()
        # With the database away it would be shown once more.
        assert all(one() is not None for one in old)
        clock[0] += 11
        await asked("hook 6")
        gc.collect()
        assert [one() for one in old] == [None] * 5
        assert young() is not None

    run(test)


def test_few_answers_are_kept(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    del clock
    monkeypatch.setattr(module, "_MOST_KEPT", 3)

    async def test(board: Board) -> None:
        questions = [Question([0.0]) for _ in range(5)]
        for number, question in enumerate(questions):
            await board.shared(f"hook {number}", question)
        for number, question in enumerate(questions):
            if number >= 2:
                await board.shared(f"hook {number}", question)
        assert [question.asked for question in questions] == [1] * 5
        await board.shared("hook 0", questions[0])
        assert questions[0].asked == 2

    run(test)
