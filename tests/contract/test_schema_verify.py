"""The tables compared with the plugin's layouts, and mended without harm to their rows."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from cli_helpers import tables
from factories import NOW, insert, make_new
from rows import change, query
from stores import again, way_of
from wpbridge.errors import Contention, SchemaError
from wpbridge.migrate.schema.comparing import script, verify
from wpbridge.migrate.schema.deviations import Deviation
from wpbridge.migrate.schema.index_for_claims import claim_index
from wpbridge.migrate.schema.mending import Changes
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.base import ClaimFilter
from wpbridge.store.connect import connect
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.schema.found import plain_default, plain_type
from wpbridge.store.schema.tables import CLAIM_INDEX
from wpbridge.store.structure.definitions import Definitions
from wpbridge.store.structure.tables import Connected

ACTIONS = "wp_actionscheduler_actions"
SHORT = ("actions", "claims", "groups", "logs")
OPTIONS = (
    "CREATE TABLE wp_options (option_id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,"
    " option_name varchar(191) NOT NULL UNIQUE, option_value longtext NOT NULL)"
)


@pytest.fixture
def store(mysql_dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    it = open_queue(mysql_dsn)
    insert(it, *[make_new("h", args=("ä", n), group=f"g{n % 3}") for n in range(20)])
    return it


@pytest.fixture
def definitions(store: RunnerStore) -> Definitions:
    return Definitions(way_of(store))


def bad(definitions: Definitions) -> dict[str, Deviation]:
    found = verify(definitions)
    return {one.item: one for one in found.deviations if one.severity != "note"}


def set_option(store: Connected | RunnerStore, name: str, value: str) -> None:
    change(store, OPTIONS.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
    change(
        store,
        "REPLACE INTO wp_options (option_name, option_value) VALUES (:n, :v)",
        n=name,
        v=value,
    )


def mended(definitions: Definitions) -> dict[str, Deviation]:
    """What is left after a fix, which has changed no row of the queue."""
    before = tables(definitions.way)
    left = mended_with_rows(definitions)
    assert tables(definitions.way) == before
    return left


def mended_with_rows(definitions: Definitions) -> dict[str, Deviation]:
    """What is left after a fix."""
    changes = Changes(definitions, None, lock_wait_seconds=5)
    for fix in verify(definitions).fixes:
        changes.mend(fix)
    return bad(definitions)


# Layouts as they are


def columns(store: Connected | RunnerStore) -> list[str]:
    dialect = store.dialect if isinstance(store, Connected) else store.parts.dialect
    return store.session.run(lambda c: dialect.columns(c, ACTIONS))


def golden_tables(golden_dir: Path, version: str) -> list[str]:
    text = (golden_dir / f"scenario-{version}" / "before.sql").read_text()
    found = re.findall(r"CREATE TABLE `wp_actionscheduler_\w+` \(.*?;\n", text, re.DOTALL)
    assert len(found) == len(SHORT)
    return [str(one) for one in found]


@pytest.mark.parametrize(
    ("version", "schema"),
    [("3.5.4", 5), ("3.5.4", 6), ("3.7.4", 7), ("3.9.3", 8), ("4.0.0", 8)],
)
def test_what_a_real_plugin_made_is_fine(
    mysql_dsn: str, golden_dir: Path, version: str, schema: int
) -> None:
    store = connect(DatabaseAddress.from_dsn(mysql_dsn), "wp_")
    try:
        for statement in golden_tables(golden_dir, version):
            change(store, statement)
        set_option(store, "schema-ActionScheduler_StoreSchema", f"{schema}.0.1795459934")
        found = verify(Definitions(store))
        assert [one for one in found.deviations if one.severity != "note"] == []
        assert (found.schema, found.told, found.is_fine) == (schema, True, True)
        change(store, "DROP TABLE wp_options")
        untold = verify(Definitions(store))
        assert (untold.schema, untold.told, untold.is_fine) == (max(schema, 6), False, True)
    finally:
        store.close()


@pytest.mark.parametrize("schema", [5, 6, 7, 8])
def test_what_the_description_makes_of_a_layout_is_that_layout(mysql_dsn: str, schema: int) -> None:
    store = connect(DatabaseAddress.from_dsn(mysql_dsn), "wp_")
    try:
        for statement in store.dialect.ddl.plugin(store.names, schema):
            change(store, statement)
        found = verify(Definitions(store))
        assert (found.schema, found.is_fine) == (max(schema, 6), True)
        assert ("priority" in columns(store)) == (schema >= 7)
    finally:
        store.close()


def test_layout_9_has_a_unique_key(store: RunnerStore, definitions: Definitions) -> None:
    set_option(store, "schema-ActionScheduler_StoreSchema", "9.0.1")
    assert bad(definitions)["actions.unique_key"].fix is None
    change(store, f"ALTER TABLE {ACTIONS} ADD COLUMN unique_key varchar(191) NULL")
    assert set(bad(definitions)) == {"actions (unique_key)"}
    change(store, f"ALTER TABLE {ACTIONS} ADD UNIQUE INDEX unique_key (unique_key)")
    assert verify(definitions).is_fine


def test_an_old_site_at_7_may_have_the_short_indexes_and_more(
    store: RunnerStore, definitions: Definitions
) -> None:
    set_option(store, "schema-ActionScheduler_StoreSchema", "7.0.1")
    for name in (
        "hook_status_scheduled_date_gmt",
        "status_scheduled_date_gmt",
        "status_claim_id",
        "status_last_attempt_gmt",
        "claim_id_status_priority_scheduled_date_gmt",
    ):
        change(store, f"ALTER TABLE {ACTIONS} DROP INDEX {name}")
    assert set(bad(definitions)) == {
        "actions (hook)",
        "actions (status)",
        "actions (claim_id, status, scheduled_date_gmt)",
    }
    assert mended(definitions) == {}


# What is odd, and mended


@pytest.mark.parametrize(
    ("harm", "items"),
    [
        (
            ["ALTER TABLE wp_actionscheduler_actions MODIFY action_id bigint unsigned NOT NULL"],
            {"actions.action_id"},
        ),
        (
            [
                "ALTER TABLE wp_actionscheduler_logs MODIFY log_id bigint unsigned NOT NULL",
                "ALTER TABLE wp_actionscheduler_logs DROP PRIMARY KEY",
            ],
            {"logs.log_id"},
        ),
        (
            [
                "ALTER TABLE wp_actionscheduler_actions ENGINE=MyISAM",
                "ALTER TABLE wp_actionscheduler_claims ENGINE=Aria",
            ],
            {"actions", "claims"},
        ),
        (
            ["ALTER TABLE wp_actionscheduler_actions ALTER last_attempt_gmt SET DEFAULT NULL"],
            {"actions.last_attempt_gmt"},
        ),
        (
            ["ALTER TABLE wp_actionscheduler_actions MODIFY scheduled_date_gmt datetime NOT NULL"],
            {"actions.scheduled_date_gmt"},
        ),
        (
            ["ALTER TABLE wp_actionscheduler_actions ALTER claim_id DROP DEFAULT"],
            {"actions.claim_id"},
        ),
        (
            [
                "ALTER TABLE wp_actionscheduler_actions DROP INDEX status_claim_id",
                "ALTER TABLE wp_actionscheduler_logs DROP INDEX action_id",
            ],
            {"actions (status, claim_id)", "logs (action_id)"},
        ),
        (
            ["ALTER TABLE wp_actionscheduler_logs CONVERT TO CHARACTER SET latin1"],
            {"logs collation"},
        ),
        (
            [
                (
                    "ALTER TABLE wp_actionscheduler_groups CONVERT TO CHARACTER SET utf8mb4"
                    " COLLATE utf8mb4_general_ci"
                ),
                (
                    "ALTER TABLE wp_actionscheduler_actions MODIFY hook varchar(191)"
                    " COLLATE utf8mb4_bin NOT NULL"
                ),
            ],
            {"groups collation", "actions collation"},
        ),
    ],
)
def test_what_loses_nothing_is_mended(
    store: RunnerStore, definitions: Definitions, harm: list[str], items: set[str]
) -> None:
    assert bad(definitions) == {}
    for statement in harm:
        change(store, statement)
    found = bad(definitions)
    if "latin1" in harm[0]:
        # A text that was made wider or narrower by hand is told besides.
        found.pop("logs.message", None)
    assert set(found) == items
    assert all(one.fix for one in found.values())
    assert mended(definitions) == {}
    again = insert(store, make_new("after"))
    assert query(store, f"SELECT hook FROM {ACTIONS} WHERE action_id = {again[0]}") == [("after",)]


def test_ids_that_are_shared_are_left_to_a_person(
    store: RunnerStore, definitions: Definitions
) -> None:
    change(store, "ALTER TABLE wp_actionscheduler_logs MODIFY log_id bigint unsigned NOT NULL")
    change(store, "ALTER TABLE wp_actionscheduler_logs DROP PRIMARY KEY")
    change(store, "UPDATE wp_actionscheduler_logs SET log_id = 7")
    change(store, "INSERT INTO wp_actionscheduler_logs SELECT * FROM wp_actionscheduler_logs")
    found = bad(definitions)["logs.log_id"]
    assert found.fix is None
    assert "another row's log_id" in found.advice
    assert "logs.log_id" in mended(definitions)


def test_rows_without_an_id_get_one_of_their_own(
    store: RunnerStore, definitions: Definitions
) -> None:
    """Inserts into tables that lost their keys left three claims 0, and an action 0."""
    change(store, "ALTER TABLE wp_actionscheduler_claims MODIFY claim_id bigint unsigned NOT NULL")
    change(store, "ALTER TABLE wp_actionscheduler_claims DROP PRIMARY KEY")
    for _ in range(3):
        change(store, "INSERT INTO wp_actionscheduler_claims (date_created_gmt) VALUES (NOW())")
    change(store, f"ALTER TABLE {ACTIONS} MODIFY action_id bigint unsigned NOT NULL")
    change(store, f"UPDATE {ACTIONS} SET action_id = 0 LIMIT 1")
    assert set(bad(definitions)) == {
        "claims.claim_id = 0",
        "claims.claim_id",
        "actions.action_id = 0",
        "actions.action_id",
    }
    count = query(store, f"SELECT COUNT(*) FROM {ACTIONS}")
    assert mended_with_rows(definitions) == {}
    assert query(store, f"SELECT COUNT(*) FROM {ACTIONS}") == count
    assert query(store, f"SELECT 1 FROM {ACTIONS} WHERE action_id = 0") == []
    claims = query(store, "SELECT claim_id FROM wp_actionscheduler_claims ORDER BY claim_id")
    assert len({row[0] for row in claims} - {0}) == 3


def test_new_ids_begin_above_those_that_are_named_elsewhere(
    store: RunnerStore, definitions: Definitions
) -> None:
    change(store, f"UPDATE {ACTIONS} SET claim_id = 41, group_id = 51")
    change(store, "DELETE FROM wp_actionscheduler_groups")
    change(store, "UPDATE wp_actionscheduler_logs SET action_id = 31")
    for short, column in (("actions", "action_id"), ("claims", "claim_id"), ("groups", "group_id")):
        table = f"wp_actionscheduler_{short}"
        change(store, f"ALTER TABLE {table} MODIFY {column} bigint unsigned NOT NULL")
    assert mended(definitions) == {}
    assert insert(store, make_new("h")) == [32]
    change(store, "INSERT INTO wp_actionscheduler_claims (date_created_gmt) VALUES (NOW())")
    change(store, "INSERT INTO wp_actionscheduler_groups (slug) VALUES ('next')")
    assert query(store, "SELECT claim_id FROM wp_actionscheduler_claims") == [(42,)]
    assert (52,) in query(store, "SELECT group_id FROM wp_actionscheduler_groups")


@pytest.mark.parametrize(
    "harm",
    [
        "ALTER TABLE wp_wpbridge_runners MODIFY runner_id bigint unsigned NOT NULL",
        "ALTER TABLE wp_wpbridge_keys DROP PRIMARY KEY",
        "ALTER TABLE wp_wpbridge_pauses DROP PRIMARY KEY",
        "ALTER TABLE wp_actionscheduler_claims DROP PRIMARY KEY, ADD KEY claim_id (claim_id)",
    ],
)
def test_keys_that_were_lost_are_given_back(
    store: RunnerStore, definitions: Definitions, harm: str
) -> None:
    change(store, harm)
    assert len(bad(definitions)) == 1
    assert not again(store).parts.info.writable
    assert mended(definitions) == {}
    assert again(store).parts.info.writable


def test_ids_begin_above_those_of_posts(store: RunnerStore, definitions: Definitions) -> None:
    set_option(store, "action_scheduler_hybrid_store_demarkation", "5000")
    assert set(bad(definitions)) == {"actions AUTO_INCREMENT"}
    assert mended(definitions) == {}
    assert insert(store, make_new("h"))[0] >= 5000
    change(store, f"ALTER TABLE {ACTIONS} MODIFY action_id bigint unsigned NOT NULL")
    set_option(store, "action_scheduler_hybrid_store_demarkation", "9000")
    assert mended(definitions) == {}
    assert insert(store, make_new("h"))[0] >= 9000


def test_missing_columns_and_tables_are_the_plugins(
    store: RunnerStore, definitions: Definitions
) -> None:
    set_option(store, "schema-ActionScheduler_StoreSchema", "8.0.1")
    change(store, f"ALTER TABLE {ACTIONS} DROP COLUMN extended_args")
    change(store, "DROP TABLE wp_actionscheduler_groups")
    found = bad(definitions)
    assert set(found) == {"actions.extended_args", "groups"}
    assert all(one.fix is None and "fix-schema" in one.advice for one in found.values())
    assert mended(definitions) == found


def test_a_type_that_somebody_changed_is_told_and_left(
    store: RunnerStore, definitions: Definitions
) -> None:
    change(store, "ALTER TABLE wp_actionscheduler_logs MODIFY message longtext NOT NULL")
    found = bad(definitions)
    assert [(one.found, one.expected, one.fix) for one in found.values()] == [
        ("longtext", "text", None)
    ]
    assert mended(definitions) == found


@pytest.mark.parametrize(("told", "advice"), [("4", "update Action"), ("12", "upgrade wpbridge")])
def test_a_layout_out_of_range_is_told(
    store: RunnerStore, definitions: Definitions, told: str, advice: str
) -> None:
    set_option(store, "schema-ActionScheduler_StoreSchema", f"{told}.0.1")
    assert advice in bad(definitions)["schema-ActionScheduler_StoreSchema"].advice


def test_no_tables_are_no_queue(mysql_dsn: str) -> None:
    store = connect(DatabaseAddress.from_dsn(mysql_dsn), "other_")
    try:
        with pytest.raises(SchemaError, match="other_actionscheduler"):
            verify(Definitions(store))
    finally:
        store.close()


def test_a_printed_script_works_in_a_strict_session(
    store: RunnerStore, definitions: Definitions
) -> None:
    change(store, f"ALTER TABLE {ACTIONS} ALTER last_attempt_gmt SET DEFAULT NULL")
    change(store, f"ALTER TABLE {ACTIONS} DROP INDEX group_id")
    lines = script(definitions, verify(definitions).fixes)

    def run(connection: object) -> None:
        for line in ["SET SESSION sql_mode = 'TRADITIONAL'", *lines]:
            connection.exec_driver_sql(line)  # type: ignore[attr-defined]  # a Connection

    store.session.run(run)
    assert bad(definitions) == {}


def test_a_table_in_use_is_given_up_after_so_many_tries(
    mysql_dsn: str, store: RunnerStore, open_queue: Callable[[str], RunnerStore]
) -> None:
    other = open_queue(mysql_dsn)
    pauses: list[float] = []
    definitions = Definitions(way_of(store), pause=pauses.append)
    statement = claim_index(definitions).add

    def hold(connection: object) -> None:
        connection.exec_driver_sql(f"SELECT 1 FROM {ACTIONS} LIMIT 1")  # type: ignore[attr-defined]
        with pytest.raises(Contention, match="in use 2 times"):
            definitions.run(statement, lock_wait_seconds=1, tries=2)

    other.session.transact(hold)
    assert len(pauses) == 1
    definitions.run(statement, lock_wait_seconds=1, tries=2)
    assert claim_index(definitions).is_ours


# SQLite


def test_sqlite_is_compared_by_columns_and_indexes(
    tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(f"sqlite:///{tmp_path / 'q.db'}")
    definitions = Definitions(way_of(store))
    assert verify(definitions).is_fine
    change(store, 'DROP INDEX "wp_actionscheduler_actions__status_claim_id"')
    assert set(bad(definitions)) == {"actions (status, claim_id)"}
    assert mended(definitions) == {}


# The claim index


def test_the_claim_index_takes_the_sorting_out_of_the_plugins_claim(
    dsn: str, open_queue: Callable[[str], RunnerStore]
) -> None:
    store = open_queue(dsn)
    insert(store, *[make_new("h", due_in=-n) for n in range(300)])
    definitions = Definitions(way_of(store))
    assert definitions.explain_claim()[1]
    there = claim_index(definitions)
    assert (there.name, there.is_ours) == (None, False)
    definitions.run(there.add)
    if store.session.address.driver != "sqlite":
        change(store, f"ANALYZE TABLE {ACTIONS}")
    there = claim_index(definitions)
    assert there.is_ours
    assert definitions.explain_claim() == (there.name, False)
    assert verify(definitions).is_fine
    store.register(host="here", boot="boot", pid=1, pid_started="1")
    claim = store.claim_due(now=NOW, limit=5, only=ClaimFilter())
    assert claim is not None
    assert len(claim.actions) == 5
    definitions.run(there.drop)
    assert claim_index(definitions).name is None


def test_somebody_elses_index_counts(store: RunnerStore, definitions: Definitions) -> None:
    change(store, f"ALTER TABLE {ACTIONS} ADD INDEX theirs ({', '.join(CLAIM_INDEX.columns)})")
    there = claim_index(definitions)
    assert (there.name, there.is_ours) == ("theirs", False)


def test_without_priorities_there_is_no_such_index(
    store: RunnerStore, definitions: Definitions
) -> None:
    change(store, f"ALTER TABLE {ACTIONS} DROP COLUMN priority")
    with pytest.raises(SchemaError, match="priority"):
        claim_index(definitions)


def test_what_servers_tell_is_read_alike() -> None:
    assert plain_type("BIGINT(20) unsigned") == "bigint unsigned"
    assert plain_type("varchar(191)") == "varchar(191)"
    assert [plain_default(v) for v in (None, "NULL", "'10'", "10", "''")] == [
        None,
        None,
        "10",
        "10",
        "",
    ]
