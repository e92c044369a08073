"""The journal: what was written is found again, and nobody else's file is touched."""

import json
from pathlib import Path
from typing import Any

import pytest

from wpbridge.errors import InputError
from wpbridge.migrate.journal import Journal


def opened(file: Path, kind: str = "wp-cron", site: str = "shop", **asked: Any) -> Journal:
    return Journal(file, kind=kind, site=site, asked=asked)


def test_steps_are_found_again_in_order(tmp_path: Path) -> None:
    file = tmp_path / "moves.jsonl"
    with opened(file, hooks=["a*"]) as journal:
        assert list(journal.steps()) == []
        journal.add({"moved": "ä\n"})
        journal.add({"moved": 2})
        assert list(journal.steps()) == [{"moved": "ä\n"}, {"moved": 2}]
    with opened(file, hooks=["b*"]) as again:
        assert again.asked == {"hooks": ["a*"]}
        assert list(again.steps()) == [{"moved": "ä\n"}, {"moved": 2}]
        again.add({"moved": 3})
        assert [step["moved"] for step in again.steps()] == ["ä\n", 2, 3]


def test_a_step_is_in_the_file_before_it_is_closed(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    journal.add({"n": 1})
    assert json.loads((tmp_path / "j").read_bytes().splitlines()[1]) == {"n": 1}
    journal.close()


def test_wherever_the_last_line_is_torn_the_steps_before_it_stay(tmp_path: Path) -> None:
    file = tmp_path / "j"
    with opened(file) as journal:
        journal.add({"n": 1})
        journal.add({"n": 2})
    whole = file.read_bytes()
    ends = [place for place, byte in enumerate(whole, 1) if byte == ord("\n")]
    for length in range(len(whole) + 1):
        file.write_bytes(whole[:length])
        done = max(0, sum(end <= length for end in ends) - 1)
        with opened(file) as journal:
            assert [step["n"] for step in journal.steps()] == [1, 2][:done]
            journal.add({"n": 3})
            assert [step["n"] for step in journal.steps()] == [*[1, 2][:done], 3]


def test_a_long_torn_line_is_dropped_whole(tmp_path: Path) -> None:
    file = tmp_path / "j"
    with opened(file) as journal:
        journal.add({"n": 1})
    with file.open("ab") as stream:
        stream.write(b'{"n": "' + b"x" * 200_000)
    with opened(file) as journal:
        assert list(journal.steps()) == [{"n": 1}]
    assert file.read_bytes().endswith(b'{"n": 1}\n')


@pytest.mark.parametrize(
    ("kind", "site", "words"),
    [
        ("archive", "shop", "is of the kind wp-cron, not archive"),
        ("wp-cron", "other", "is of the site shop, not other"),
    ],
)
def test_a_journal_of_something_else_is_refused(
    kind: str, site: str, words: str, tmp_path: Path
) -> None:
    opened(tmp_path / "j").close()
    with pytest.raises(InputError, match=words):
        opened(tmp_path / "j", kind, site)


@pytest.mark.parametrize("text", ["hello", "hello\n", "{}\n", "[1]\n", '{"journal": 9}\n'])
def test_a_file_that_is_no_journal_is_left_alone(text: str, tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text(text, "utf-8")
    with pytest.raises(InputError, match="no journal"):
        opened(file)
    assert file.read_text("utf-8") == text


def test_damage_in_the_middle_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "j"
    with opened(file) as journal:
        journal.add({"n": 1})
    file.write_bytes(file.read_bytes() + b"\x00\x00\n" + b'{"n": 2}\n')
    with opened(file) as journal, pytest.raises(InputError, match="line 3 is damaged"):
        list(journal.steps())


def test_two_processes_do_not_share_one(tmp_path: Path) -> None:
    with opened(tmp_path / "j"), pytest.raises(InputError, match="another process"):
        opened(tmp_path / "j")
    opened(tmp_path / "j").close()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        opened(tmp_path / "gone" / "j")
