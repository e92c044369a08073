"""What the plugin wrote, moved away and back again: the plugin reads the same.

Needs the real plugin (WPBRIDGE_TEST_PLUGIN).
"""

from collections.abc import Callable
from pathlib import Path

from both_sides import BothSides, Call
from factories import NOW
from wpbridge.migrate.transfer.copying import copy_queue
from wpbridge.migrate.transfer.files import Line
from wpbridge.migrate.transfer.wishes import Wishes
from wpbridge.store.records import Query
from wpbridge.store.running.runner_store import RunnerStore

AT = 1_806_195_599
CALLS: list[Call] = [
    ("as_enqueue_async_action", "t_async", ["ä/b", 1.5, None], "mail"),
    ("as_schedule_single_action", AT, "t_single", [{"id": 7}], "", False, 3),
    ("as_schedule_recurring_action", AT, 3600, "t_hourly", [], "Größe"),
    ("as_schedule_cron_action", AT, "0 3 * * 1", "t_cron", ["x" * 5000], "mail"),
    ("as_schedule_single_action", AT, "t_canceled"),
    ("as_enqueue_async_action", "t_again"),
]


def moved(source: RunnerStore, target: RunnerStore) -> None:
    bad: list[str] = []

    def reject(line: Line, why: str) -> None:
        bad.append(f"{line.number}: {why}")

    report = copy_queue(source.parts, Query(), target.parts, Wishes(now=NOW), reject)
    assert (bad, report.problems, report.is_good) == ([], [], True)


def test_the_plugin_reads_what_was_moved_away_and_back(
    both: BothSides, open_queue: Callable[[str], RunnerStore], tmp_path: Path
) -> None:
    ids = [int(made) for made in both.php(*CALLS)]
    assert all(ids)
    both.ask("q_run")
    # After the run, whose cleaner takes canceled ones away at once.
    both.php(("as_unschedule_action", "t_canceled"))
    before = both.ask("q_actions", ids)
    assert {told["status"] for told in before} >= {"pending", "canceled"}
    elsewhere = open_queue(f"sqlite:///{tmp_path / 'elsewhere.db'}")
    moved(both.store, elsewhere)
    for table in ("actions", "logs"):
        both.change(f"DELETE FROM {{{table}}}")
    moved(elsewhere, both.store)
    rows = both.store.parts.reading.find(Query(order="id", limit=0))
    after = {row.hook: row.id for row in rows if row.hook.startswith("t_")}
    again = [int(after[told["hook"]]) for told in before]
    for told, there in zip(before, both.ask("q_actions", again), strict=True):
        # What has ended keeps no claim: nobody holds a copy.
        assert there == told | {"claim": 0}
    # And goes on with it: canceled by the plugin's own lookup of hook, args and group.
    assert both.ask("as_unschedule_action", "t_cron", ["x" * 5000], "mail") == after["t_cron"]
