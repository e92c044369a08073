"""What the plugin's own runner has ended in a real WordPress stands in the statistics, once.

Needs what tests/companion_site.py needs.
"""

from datetime import datetime, timedelta

from clocks import FakeClock
from companion_site import RUN, Site, emptied_site, made_wordpress
from rows import change
from wpbridge.clock import SystemClock
from wpbridge.telling.counting import ENDINGS, Counter
from wpbridge.upkeep.history import History

__all__ = ["emptied_site", "made_wordpress"]

HANDLERS = (
    "add_action( 'well', function () {} );"
    " add_action( 'ill', function () { throw new Exception( 'no' ); } );"
)
ADD = (
    "foreach ( array( 'well', 'well', 'ill' ) as $hook ) {"
    " as_schedule_single_action( time() - 60, $hook, array(), 'shop' ); }"
)


def look(site: Site, at: datetime) -> None:
    """One turn of the duty, which is due."""
    change(site.store, "UPDATE wp_wpbridge_duties SET due_gmt = '2020-01-01'")
    History(site.store.parts, FakeClock(at), Counter(), holder="a", has_duty=True).step()


def test_what_the_plugin_ends_is_counted_with_its_wait_and_its_group(site: Site) -> None:
    parts, now = site.store.parts, SystemClock().now()
    parts.own.ensure(parts.names.stats, parts.names.duties)
    look(site, now)
    site.php(f"{ADD} {HANDLERS} {RUN}")
    for _ in range(3):
        look(site, now)
    told = parts.stats.of("minute", now - timedelta(hours=1), now + timedelta(hours=1))
    found = {(c.hook, c.outcome): c for c in told if c.outcome in ENDINGS and c.hook != ""}
    assert {key: count.actions for key, count in found.items()} == {
        ("well", "complete"): 2,
        ("ill", "failed"): 1,
    }
    one = found["well", "complete"]
    assert parts.groups.slug(one.group_id) == "shop"
    assert one.wait_seconds >= 120
    assert sum(one.waits) == sum(one.durations) == 2
