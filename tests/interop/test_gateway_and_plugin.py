"""A job that is added over HTTP and ended by the plugin's own runner in a real WordPress.

Needs what tests/companion_site.py needs.
"""

import threading

import pytest

from companion_site import RUN, Site, emptied_site, made_wordpress
from gateway import serving
from receiver import Receiver
from rows import change
from servers import MariaDB
from wpbridge.plugin.companion import Ownership
from wpbridge.runner import catch_up

__all__ = ["emptied_site", "made_wordpress"]

THEIRS = (
    "add_action( 'theirs', function ( $order ) {"
    " wpbridge_progress( 0.5, 'half' ); wpbridge_set_result( array( 'order' => $order ) ); } );"
)


def test_a_job_that_php_ends_is_complete_at_its_address_and_told_of_once(
    site: Site, receiver: Receiver, mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody wakes the gateway when PHP ends an action. It looks once a minute otherwise.
    monkeypatch.setattr(catch_up, "IDLE_CATCH_UP_SECONDS", 0.05)
    site.install(Ownership())
    # The companion says in an option that it keeps PHP away from callbacks.
    site.php("$told = 1;")
    got = threading.Event()
    receiver.met = got.set
    dsn = mariadb.url("companion")
    url = f"http://127.0.0.1:{receiver.server_port}/"
    with serving(dsn, runs_own=True, poll_interval="0.05s") as gateway:
        job = gateway.add("theirs", args={"order": 7}, callback={"url": url})
        assert site.php(f"{THEIRS} {RUN}") == 1
        seen = gateway.ask("GET", job["links"]["self"]).json()
        assert (seen["status"], seen["progress"]) == ("complete", {"fraction": 0.5, "text": "half"})
        assert seen["started_at"]
        assert gateway.ask("GET", job["links"]["result"]).json() == {"order": 7}
        assert got.wait(60)
        assert site.php(f"{THEIRS} {RUN}") == 0, "the callback is no work of PHP's"
    [(headers, _)] = receiver.posts
    assert headers["webhook-id"] == f"cb_{job['job']}"
    change(site.store, "DELETE FROM wp_wpbridge_api_keys")
