"""Inserts the actions that posts become, with their logs."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from wpbridge.action import ActionId
from wpbridge.clock import ZERO_DATE, from_text, to_text
from wpbridge.errors import InputError
from wpbridge.store.database.connection import Connection
from wpbridge.store.opened import OpenStore
from wpbridge.store.posts.made import Batch, Decide, Made, Moving, made_of
from wpbridge.store.posts.old_posts import LOG_TYPE, OldPosts, Post


class NewGroup(Exception):
    """A post got a group after the groups had been looked at, so all is done again."""


class PostInserts:
    """Inserts in transactions of the caller's. The groups are made before."""

    def __init__(self, store: OpenStore, old: OldPosts) -> None:
        self._parts = store
        self._session = store.session
        self._old = old
        self._groups: dict[str, int] = {}

    def learn_groups(self, ids: Sequence[int]) -> None:
        """Make the groups before the transaction, so that others see them and make none."""
        terms = self._session.run(lambda c: self._old.groups(c, ids)) if ids else {}
        for slug in {"", *(names[0] for names in terms.values())} - set(self._groups):
            # Posts whose group the tables cannot hold are left where they are.
            with contextlib.suppress(InputError):
                self._groups[slug] = self._parts.groups.ensure(slug)

    def sorted_out(
        self, connection: Connection, posts: Iterable[Post], decide: Decide
    ) -> tuple[Batch, list[tuple[Post, Moving]]]:
        """Part the posts that become actions from those that stay, each with its reason."""
        batch = Batch()
        going = []
        for post in posts:
            what = decide(post)
            if isinstance(what, Moving):
                row = what.row(self._parts.inserts.zone)
                what = self._parts.whole_row_inserts.fault(connection, row) or what
            if isinstance(what, Moving):
                going.append((post, what))
            else:
                batch.left.append((post, what))
        return batch, going

    def insert(
        self, connection: Connection, going: Sequence[tuple[Post, Moving]], now: datetime
    ) -> list[Made]:
        """Add the actions. NewGroup where a post has got another group meanwhile."""
        rows = [one.row(self._parts.inserts.zone) for _, one in going]
        if not self._groups.keys() >= {row.group for row in rows}:
            raise NewGroup
        ids = self._parts.whole_row_inserts.insert_rows(connection, rows, self._groups)
        self._parts.inserts.raw_logs(connection, self._log_rows(going, ids, now))
        return [
            made_of(post, i, (row.status, row.attempts, row.scheduled, row.last_attempt))
            for (post, _), i, row in zip(going, ids, rows, strict=True)
        ]

    def _log_rows(
        self, going: Sequence[tuple[Post, Moving]], ids: Sequence[ActionId], now: datetime
    ) -> Iterator[tuple[int, str, str, str]]:
        gmt = to_text(now)
        local = to_text(self._parts.inserts.zone.log_local(now))
        for (post, one), i in zip(going, ids, strict=True):
            for message in one.before:
                yield i, message, gmt, local
            for log in post.logs:
                if log.kind == LOG_TYPE:
                    yield i, log.message, *self._log_dates(log.gmt)
            for message in one.after:
                yield i, message.replace("%d", str(i)), gmt, local

    def _log_dates(self, gmt: str) -> tuple[str, str]:
        at = from_text(gmt)
        if at is None:
            return ZERO_DATE, ZERO_DATE
        return gmt[:19], to_text(self._parts.inserts.zone.log_local(at))
