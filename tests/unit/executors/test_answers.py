"""Lines that come to a worker's answers: which of them the worker wrote."""

import json

import pytest

from wpbridge.executors.pools import answers as module
from wpbridge.executors.pools.answers import Answers, Stray


def signed(answers: Answers, **frame: object) -> bytes:
    return b"\n" + json.dumps({**frame, "secret": answers.secret}).encode() + b"\n"


def test_answers_come_whole_however_they_are_cut() -> None:
    answers = Answers()
    data = signed(answers, **{"is": "start", "id": 7}) + signed(answers, **{"is": "end"})
    found = [frame for byte in data for frame in answers.feed(bytes([byte]))]
    assert found == [{"is": "start", "id": 7}, {"is": "end"}]
    assert answers.feed(data + data) == found + found


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"[1]", "no object: '[1]'"),
        (b"garbage", "no JSON: 'garbage'"),
        (b"null", "no object"),
        (b"17", "no object"),
        (b'"text"', "no object"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"\x00", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"9" * 5000, "no JSON"),
        (b'{"is": "end", "id": NaN}', "no JSON"),
        (b'{"is": "end", "seconds": -Infinity}', "no JSON"),
        (b'{"is": "end", "id": 1, "as": "done"}', "without the worker's secret"),
        (b'{"is": "end", "secret": ""}', "without the worker's secret"),
        (b'{"is": "end", "secret": null}', "without the worker's secret"),
        (b'{"is": "end", "secret": 0}', "without the worker's secret"),
        (b'{"is": "end", "secret": ["a"]}', "without the worker's secret"),
        (b'{"is": "end", "secret": "\\ud800"}', "without the worker's secret"),
        (b'{"is": "end", "secret": "0123456789abcdef0123456789abcdef"}', "without the worker's"),
    ],
)
def test_what_the_worker_did_not_write_is_told_and_nothing_else_is_lost(
    line: bytes, why: str
) -> None:
    answers = Answers()
    good = signed(answers, id=1)
    before, stray, after = answers.feed(good + line + b"\n" + good)
    assert (before, after) == ({"id": 1}, {"id": 1})
    assert isinstance(stray, Stray)
    assert stray.why.startswith(why)
    assert len(stray.why) < 600
    assert stray.why.isprintable()


def test_an_unfinished_line_does_not_swallow_the_answer_behind_it() -> None:
    answers = Answers()
    stray, frame = answers.feed(b"half a li" + signed(answers, id=1))
    assert isinstance(stray, Stray)
    assert frame == {"id": 1}


def test_a_line_without_end_takes_no_memory_and_is_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "LONGEST_BYTES", 1000)
    answers = Answers()
    told = [stray for _ in range(10_000) for stray in answers.feed(b"x" * 100)]
    assert [type(stray) for stray in told] == [Stray]
    assert len(answers._line) <= 1000
    assert answers.feed(signed(answers, id=1)) == [{"id": 1}]
    assert answers.feed(b"y" * 1001 + b"\n" + b"z\n")[1:] == answers.feed(b"z\n")


def test_the_secret_is_never_shown() -> None:
    answers = Answers()
    [stray] = answers.feed(f'{{"secret": "{answers.secret}", \n'.encode())
    assert isinstance(stray, Stray)
    assert answers.secret not in stray.why
    shown = answers.stray("of no known kind", {"secret": answers.secret, "is": "x"})
    assert answers.secret not in shown.why


def test_each_worker_has_its_own_secret() -> None:
    one, other = Answers(), Answers()
    assert isinstance(other.feed(signed(one, id=1))[0], Stray)
