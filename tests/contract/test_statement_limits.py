"""A session whose statements may take only so long gives up those that take longer."""

from collections.abc import Callable

import pytest

from wpbridge.errors import TookTooLong
from wpbridge.store.database.connection import text
from wpbridge.store.running.runner_store import RunnerStore

LONG = {
    "mysql": "SELECT SLEEP(60)",
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n",
}


def test_a_statement_that_takes_too_long_is_given_up_and_the_next_one_works(
    dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(dsn).parts
    store.close()
    store.session.statement_seconds = 0.2
    try:
        long = text(LONG[store.dialect.name])
        with pytest.raises(TookTooLong, match="took too long"):
            store.session.run(lambda c: c.execute(long).fetchall())
        assert store.session.run(lambda c: c.execute(text("SELECT 1")).scalar()) == 1
    finally:
        store.close()
