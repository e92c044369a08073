"""The plugin works on tables that were indexed and mended, and leaves them so."""

import os

import pytest

from both_sides import BothSides
from factories import NOW, insert, make_new
from stores import way_of
from wpbridge.migrate.schema.comparing import verify
from wpbridge.migrate.schema.index_for_claims import claim_index
from wpbridge.migrate.schema.mending import Changes
from wpbridge.store.structure.definitions import Definitions


def test_the_plugins_own_tables_are_fine(both: BothSides) -> None:
    found = verify(Definitions(way_of(both.store)))
    assert (found.told, found.is_fine) == (True, True), found.deviations


def test_the_plugin_runs_on_indexed_and_mended_tables_and_keeps_them(both: BothSides) -> None:
    if not os.environ.get("WPBRIDGE_TEST_WP"):
        pytest.skip("WPBRIDGE_TEST_WP does not name a WP-CLI")
    both.site.needs_release((3, 6, 0), "the priority")
    definitions = Definitions(way_of(both.store))
    both.change("ALTER TABLE {actions} DROP INDEX group_id")
    both.change("ALTER TABLE {logs} MODIFY log_id bigint unsigned NOT NULL")
    both.change("ALTER TABLE {claims} ENGINE=MyISAM")
    assert len(verify(definitions).fixes) == 3
    changes = Changes(definitions, None, lock_wait_seconds=5)
    for fix in verify(definitions).fixes:
        changes.mend(fix)
    definitions.run(claim_index(definitions).add)
    try:
        insert(both.store, *[make_new("nobody", due_in=-n) for n in range(1, 4)], now=NOW)
        [done] = both.wp(["run", "--force"])
        assert done.code == 0, done
        assert both.rows(
            "SELECT COUNT(*) FROM {actions} WHERE hook = 'nobody' AND status = 'pending'"
        ) == [(0,)]
        [done] = both.wp(["fix-schema"])
        assert done.code == 0, done
        assert claim_index(definitions).is_ours
        assert verify(definitions).is_fine
    finally:
        definitions.run(claim_index(definitions).drop)
