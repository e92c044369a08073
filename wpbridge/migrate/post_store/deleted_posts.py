"""What the move of a post store deletes is kept in a packed file beside its journal, for the undo.

JSON Lines, a gzip member a batch: a line with the columns of each table, and a line for each post.
A member is forced to the disk and noted in the journal before a row of it is deleted; what was
written and not noted is cut off when the move goes on. A batch whose transaction was not committed
stays in the file: only the tables tell which of the batches without a note of their end are true.
"""

import base64
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

from wpbridge.action import ActionId
from wpbridge.dataclass import dataclass
from wpbridge.errors import InputError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.packed_file import PackedFile
from wpbridge.store.posts.made import Made
from wpbridge.store.posts.old_posts import LOG_TYPE
from wpbridge.store.posts.whole_posts import HANGING, POST_TYPE, Columns, Row, WholePost

ENDING: Final = ".undo.jsonl.gz"
BEGUN: Final = "undo"
"""The journal's step that names the file."""
UNDONE: Final = "undone"
"""The journal's step that says that the way back was begun."""
_LEVEL: Final = 3
_NOT_IN_NAMES: Final = frozenset("`%\0")
"""Characters that no column has which a statement names."""


def file_of(journal: Path) -> Path:
    """Return where the file lies: beside the journal."""
    return journal.with_name(f"{journal.name}{ENDING}")


class DeletedPosts:
    """The file while it is written, for the first time or again after the move was stopped."""

    def __init__(self, journal: Journal) -> None:
        """Open the file.

        Raises:
            InputError: it is another move's, not as long as the journal says, or cannot be written;
                or the move was undone.
        """
        self._journal = journal
        self.file = file_of(journal.file)
        is_begun, end = False, 0
        for step in steps(journal):
            if step.is_undone:
                raise InputError(
                    f"journal {journal.file}: its move was undone; to move again, name another"
                    " with --journal"
                )
            is_begun = is_begun or step.is_begun
            end = step.end or end
        self._packed = PackedFile(self.file, end, level=_LEVEL)
        if self._packed.size and not is_begun:
            self._packed.close()
            raise InputError(
                f"{self.file} is there, and its journal does not tell of it: it is of another move;"
                " put it away, or name another --journal"
            )
        if not is_begun:
            journal.add({BEGUN: self.file.name})

    def add(self, made: Sequence[Made], columns: Columns) -> None:
        """Write a batch. It is on the disk, and noted in the journal, when this returns.

        Raises:
            InputError: there is no room for it; nothing may be deleted.
        """
        lines = [_dumped({"columns": columns}), *(_dumped(_line(one)) for one in made)]
        start, end = self._packed.add(b"".join(lines))
        self._journal.add({"from": start, "to": end, "count": len(made)})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._packed.close()


# The journal's steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step of the journal tells of the file, and of the posts in it."""

    is_begun: bool
    is_undone: bool
    start: int
    end: int
    """0 where it tells of no batch."""
    count: int
    moved: frozenset[int] | None


def steps(journal: Journal) -> Iterator[Step]:
    """Read all steps of a journal, in order. InputError for one that is damaged."""
    return journal.meanings(_step)


def _step(step: Mapping[str, Any]) -> Step:
    start, end, count = 0, 0, 0
    if "to" in step:
        start, end, count = (_number(step[name]) for name in ("from", "to", "count"))
        if start >= end:
            raise ValueError
    moved = frozenset(map(int, step["moved"].keys())) if "moved" in step else None
    return Step(
        is_begun=BEGUN in step,
        is_undone=UNDONE in step,
        start=start,
        end=end,
        count=count,
        moved=moved,
    )


def _number(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Where one batch lies in the file, and what is known of its end."""

    start: int
    end: int
    count: int
    moved: frozenset[int] | None
    """The posts that were moved; None where the journal does not tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A batch that was read back."""

    columns: Columns
    made: Sequence[Made]


def batches(steps: Iterable[Step]) -> Iterator[Batch]:
    """Read which batches a journal tells of, in order."""
    last: Batch | None = None
    for step in steps:
        if step.end:
            if last is not None:
                yield last
            last = Batch(start=step.start, end=step.end, count=step.count, moved=None)
        elif step.moved and last is not None:
            yield replace(last, count=len(step.moved), moved=step.moved)
            last = None
    if last is not None:
        yield last


def unwritten(steps: Iterable[Step]) -> int:
    """Count the posts that were moved before the journal had a file."""
    before = takewhile(lambda step: not step.is_begun, steps)
    return sum(len(step.moved or ()) for step in before)


def read(stream: BinaryIO, batch: Batch) -> Kept | None:
    """Read a batch of the file. None where it is damaged."""
    try:
        stream.seek(batch.start)
        data = gzip.decompress(stream.read(batch.end - batch.start))
        first, *rest = [json.loads(line) for line in data.splitlines()]
        columns, made = first["columns"], [_made(line) for line in rest]
        _check(columns, made)
    except (OSError, EOFError, zlib.error, ValueError, LookupError, TypeError, AttributeError):
        return None
    return Kept(
        columns=columns,
        made=[one for one in made if batch.moved is None or one.post.id in batch.moved],
    )


def _check(columns: Columns, made: Sequence[Made]) -> None:
    """Raise one of the errors of a damaged batch unless rows, columns and ids fit each other."""
    for name, some in columns.items():
        own = ("ID", "post_type") if name == "posts" else HANGING[name]
        if not set(own) <= set(some) or any(set(column) & _NOT_IN_NAMES for column in some):
            raise ValueError
    for one in made:
        for name, rows in one.post.rows.items():
            if any(len(row) != len(columns[name]) for row in rows):
                raise ValueError
        _check_post(columns, one.post)


def _check_post(columns: Columns, post: WholePost) -> None:
    """Raise the same unless all rows belong to the post of one scheduled action.

    So a file that somebody has changed puts back no other kind of post, and hangs nothing on it.
    """

    def told(name: str, column: str) -> list[Any]:
        place = columns[name].index(column) if post.rows.get(name) else 0
        return [row[place] for row in post.rows.get(name, ())]

    if set(map(int, told("posts", "ID"))) != {post.id}:
        raise ValueError
    if set(told("posts", "post_type")) - {POST_TYPE}:
        raise ValueError
    if set(told("comments", "comment_type")) - {LOG_TYPE}:
        raise ValueError
    comments = set(map(int, told("comments", "comment_ID")))
    for name, (own, owner) in HANGING.items():
        _ = [int(value) for value in told(name, own)]
        owners = comments if name == "commentmeta" else {post.id}
        if not set(map(int, told(name, owner))) <= owners:
            raise ValueError


# Lines


def _line(one: Made) -> dict[str, Any]:
    return {
        "post": one.post.id,
        "action": one.action,
        "hook": one.hook,
        "status": one.status,
        "attempts": one.attempts,
        "scheduled": one.scheduled,
        "last_attempt": one.last_attempt,
        "rows": {name: rows for name, rows in one.post.rows.items() if rows},
    }


def _made(line: Mapping[str, Any]) -> Made:
    rows = {name: [_row(row) for row in some] for name, some in line["rows"].items()}
    return Made(
        post=WholePost(id=int(line["post"]), rows=rows),
        action=ActionId(int(line["action"])),
        hook=str(line["hook"]),
        status=str(line["status"]),
        attempts=int(line["attempts"]),
        scheduled=str(line["scheduled"]),
        last_attempt=str(line["last_attempt"]),
    )


def _row(row: Sequence[Any]) -> Row:
    return [_value(value) for value in row]


def _value(value: Any) -> object:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"], validate=True)
    if not isinstance(value, str | int | float | None):
        raise TypeError
    return value


def _dumped(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, default=_packed, separators=(",", ":")).encode() + b"\n"


def _packed(value: object) -> object:
    """Return what JSON has no word for: bytes, and numbers whose decimal point is exact."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return str(value)
