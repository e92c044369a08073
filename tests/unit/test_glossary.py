"""The glossary and the code use the same words, and the code no word that was given up."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = ROOT / "wpbridge"

CORE = ("action", "daemon", "executors", "outcome", "queue", "runner", "upkeep")
"""The rooms through which an action goes: the nouns of their classes are explained."""

SELF_EVIDENT = """
answer answers batch child clock connection context cron decision greeting home identity launch
lifetime line lines listener notifier off order printed queue reader restart
retries retry sent set setup socket state stdout thread totals up watcher writer written
adding changing matching minting reading starting idling moving noting
cancel canceled completed gone request submitted enqueue enqueuer failed mailbox retried snooze snoozed stray unrun
selected selection added unknown made
durability post refused rows measured pages
"""
"""Nouns of the core that every reader knows, or that follow from a word of the glossary."""

GIVEN_UP = {
    "coroner": "liveness",
    "desk": "inbox",
    "tether": "worker link",
    "patient": "examined site",
    "keeper": "worker slots",
    "books": "start mark, bookkeeping",
    "hold": "in hand, put back, undated, blocked",
    "held": "in hand, put back, undated, blocked, claimed",
}
"""Words with two meanings or none, and the words of the glossary that stand in their place."""

HELD_HOOK = "what the glossary calls a held hook"
KEPT = {
    "HELD": HELD_HOOK,
    "HeldHooks": HELD_HOOK,
    "forget_held": HELD_HOOK,
    "held_hooks": HELD_HOOK,
    "is_held": HELD_HOOK,
    "tell_held": HELD_HOOK,
    "held": "a public count, which docs/glossary.md lists; or what the glossary calls a held hook",
    "held_waits": "the check of doctor that is called held-waits",
    "php_books": "the setting php.books",
}
"""Names that keep a word that was given up, each with the reason."""

NAMED_BY = {
    "circuit breaker": "breaker",
    "companion plugin": "companion",
    "idempotency key": "key",
    "list of sites": "site list",
}
"""Words of the glossary that names of the code shorten."""

MESSAGES = "executors/php/frames"
"""What a PHP worker says; docs/reference describes each kind of message."""


def words(name: str) -> list[str]:
    """``RunnerStore`` and ``runner_store`` as the words runner and store."""
    found = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return [word.lower() for word in found]


def stem(word: str) -> str:
    """What a word has in common with others of its family: own, owns, owner, owned, ownership."""
    shorter = re.sub(r"(?<=...)(?:ing|ed|er|es|s|e|ship|keep)$", "", word)
    return word if shorter == word else stem(shorter)


def stems(text: str) -> list[str]:
    return [stem(word) for word in words(text)]


@cache
def glossary() -> list[tuple[str, list[str]]]:
    """Each word of the list, with the rooms that it names."""
    table = (ROOT / "docs" / "glossary.md").read_text("utf-8").split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")][2:]
    return [(row[0].strip(), re.findall(r"`([^`]+)`", row[-1])) for row in rows]


def defined(body: list[ast.stmt]) -> Iterator[tuple[str, bool]]:
    """Public names that statements define, and those in their classes; whether each is a class."""
    for one in body:
        if isinstance(one, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if not one.name.startswith("_"):
                yield one.name, isinstance(one, ast.ClassDef)
                if isinstance(one, ast.ClassDef):
                    yield from defined(one.body)
        elif isinstance(one, ast.AnnAssign | ast.Assign):
            targets = [one.target] if isinstance(one, ast.AnnAssign) else one.targets
            names = [target.id for target in targets if isinstance(target, ast.Name)]
            yield from ((name, False) for name in names if not name.startswith("_"))


@cache
def names() -> list[tuple[str, str, bool]]:
    """All public names of the package: where each stands, the name, and whether it is a class."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        place = file.relative_to(PACKAGE).with_suffix("").as_posix().removesuffix("/__init__")
        found.append((place, place.rpartition("/")[2], False))
        tree = ast.parse(file.read_text("utf-8"))
        found += [(place, name, is_class) for name, is_class in defined(tree.body)]
    return found


def in_room(room: str) -> list[str]:
    """The public names of a room, and those of its modules and folders."""
    return [
        text
        for place, name, _ in names()
        if place == room or place.startswith(f"{room}/")
        for text in (name, *place.split("/"))
    ]


def contains(name: str, wanted: list[str]) -> bool:
    found = stems(name)
    return any(found[at : at + len(wanted)] == wanted for at in range(len(found)))


def test_the_list_is_in_order_and_has_no_word_twice() -> None:
    listed = [word.lower() for word, _ in glossary()]
    assert len(listed) > 50
    assert [pair for pair in pairwise(listed) if pair[0] >= pair[1]] == []


@pytest.mark.parametrize(
    ("word", "room"), [(word, room) for word, rooms in glossary() for room in rooms]
)
def test_a_room_has_a_name_with_the_word(word: str, room: str) -> None:
    there = set(in_room(room))
    assert there, f"there is no room {room}"
    for one in word.split(", "):
        wanted = stems(NAMED_BY.get(one, one))
        assert any(contains(name, wanted) for name in there), f"nothing in {room} says {one}"


def test_no_name_has_a_word_that_was_given_up() -> None:
    used = [(place, name) for place, name, _ in names() if set(words(name)) & GIVEN_UP.keys()]
    wrong = [f"{place}: {name}" for place, name in used if name not in KEPT]
    assert wrong == []
    assert sorted(KEPT) == sorted({name for _, name in used})


def test_the_nouns_of_the_core_are_explained_or_plain() -> None:
    explained = {tuple(stems(one))[-1] for word, _ in glossary() for one in word.split(", ")}
    nouns = {
        words(name)[-1]: f"{place}: {name}"
        for place, name, is_class in names()
        if is_class and place.split("/")[0] in CORE and place != MESSAGES
    }
    plain = set(SELF_EVIDENT.split())
    unknown = {noun for noun in nouns if stem(noun) not in explained}
    assert {noun: nouns[noun] for noun in unknown - plain} == {}
    assert plain - unknown == set(), "in the glossary, or in no name any more"
