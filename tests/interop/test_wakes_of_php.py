"""What the companion plugin sends at the end of a request, in a real WordPress with the real plugin.

Needs what tests/companion_site.py needs.
"""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from both_sides import BothSides
from companion_site import Site, emptied_site, made_wordpress
from rows import change
from stores import way_of
from wpbridge.codec import wakes
from wpbridge.plugin import companion
from wpbridge.plugin.companion import Ownership
from wpbridge.store.structure.creation import create_tables
from wpbridge.system.datagrams import bound_to_path, bound_to_udp

__all__ = ["emptied_site", "made_wordpress"]

ASYNC = "as_enqueue_async_action( 'h' );"
END = "do_action( 'wpbridge_action_ended', 1 );"
"""What a PHP worker does after each action: the end of a request within a process that goes on."""
RUN_IT = "add_action( 'h', function () {} ); ActionScheduler::runner()->run();"
CLAIM_IT = (
    "$store = ActionScheduler::store(); $claim = $store->stake_claim( 9 ); %s"
    " $store->release_claim( $claim ); as_unschedule_all_actions( 'h' );"
)
MANY = "for ( $i = 0; $i < 600; $i++ ) { Wpbridge_Wakes::note( $id ); }"
"""More than are remembered."""
SHUT = "register_shutdown_function( function () { global $wpdb; %s } );"
DUE = (
    ASYNC,
    "as_schedule_single_action( time() - 60, 'h' );",
    "as_schedule_recurring_action( time() - 5, 3600, 'h' );",
    "for ( $i = 0; $i < 30; $i++ ) { as_enqueue_async_action( 'h', array( $i ) ); }",
    f"$wpdb->query( 'START TRANSACTION' ); {ASYNC} $wpdb->query( 'COMMIT' );",
    f"{ASYNC} $wpdb->prefix = 'wp_2_'; Wpbridge_Wakes::note( 7 ); $wpdb->prefix = 'wp_';",
    f"{ASYNC} $id = $wpdb->insert_id; {MANY}",
)
NOT_DUE = (
    "",
    "as_schedule_single_action( time() + 60, 'h' );",
    f"as_schedule_single_action( time() + 60, 'h' ); $id = $wpdb->insert_id; {MANY}",
    "as_schedule_cron_action( time(), '0 0 1 1 *', 'h' );",
    f"{ASYNC} as_unschedule_all_actions( 'h' );",
    f"{ASYNC} {CLAIM_IT % END}",
    f"$wpdb->query( 'START TRANSACTION' ); {ASYNC} $wpdb->query( 'ROLLBACK' );",
    f"{ASYNC} {RUN_IT}",
)


class Ears:
    """A daemon's ears: a Unix socket and a UDP port, and a runner that tells of them."""

    def __init__(self, site: Site, folder: Path) -> None:
        self.site = site
        self.path = folder / "s"
        self.udp, self.unix = (
            bound_to_udp("127.0.0.1", 0),
            bound_to_path(self.path, mode=0o666, group=None),
        )
        self.port = self.udp.getsockname()[1]
        create_tables(way_of(site.store), everything=True)
        site.install(Ownership())
        site.store.parts.signing.make()
        self.keys = site.store.parts.signing.keys("wake", max_age_seconds=0.0)

    def announce(self, address: str) -> None:
        self.site.store.register(
            host="here", boot="b", pid=1, pid_started="1", wake_address=address
        )

    def heard(self, ear: socket.socket | None = None) -> int:
        """How many wakes have come. What comes must be a wake that counts."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append((ear or self.udp).recv(4096))
        for message in found:
            wake = wakes.read(message)
            assert wake is not None, message
            assert wake.prefix == "wp_"
            assert wake.is_signed(self.keys)
            assert wake.is_current(time.time())
        assert len(set(found)) == len(found)
        return len(found)


@pytest.fixture
def ears(site: Site) -> Iterator[Ears]:
    with TemporaryDirectory(dir="/tmp", prefix="wpb") as folder:
        it = Ears(site, Path(folder))
        it.announce(f"udp:127.0.0.1:{it.port}")
        yield it
        it.udp.close()
        it.unix.close()


def test_what_is_due_wakes_once_and_what_is_not_wakes_nobody(ears: Ears) -> None:
    """Many requests in one process. None can send more than one wake, so they can be counted."""
    ears.site.php(END.join([*DUE, ""]))
    assert ears.heard() == len(DUE)
    change(ears.site.store, "DELETE FROM wp_actionscheduler_actions")
    ears.site.php(END.join([*NOT_DUE, ""]))
    assert ears.heard() == 0


@pytest.mark.parametrize(
    "code",
    [
        f"add_action( 'shutdown', function () {{ {ASYNC} }} ); {ASYNC}",
        SHUT % SHUT.replace("global $wpdb; %s", ASYNC),
        f"$wpdb->query( 'START TRANSACTION' ); {ASYNC} " + SHUT % "$wpdb->query( 'COMMIT' );",
        f"{ASYNC} global $wp_filter; unset( $wp_filter['shutdown'] ); exit;",
    ],
    ids=["at-shutdown", "after-it", "committed-after-it", "without-it"],
)
def test_the_end_of_a_request_comes_after_all_other_ends(ears: Ears, code: str) -> None:
    ears.site.php(f"$told = 1; echo 'null'; {code}" if code.endswith("exit;") else code)
    assert ears.heard() == 1


@pytest.mark.parametrize(
    "value", ["false", "'udp:localhost:9 tcp:127.0.0.1:9 /etc/passwd unix:../s'"]
)
def test_the_constant_switches_it_off_and_names_are_not_looked_up(ears: Ears, value: str) -> None:
    ears.site.php(f"define( 'WPBRIDGE_WAKE', {value} ); {ASYNC}")
    assert ears.heard() == 0


def test_nobody_there_is_no_error(ears: Ears) -> None:
    """Nothing is written to stderr either, and an error handler of a plugin hears nothing."""
    loud = "set_error_handler( function ( $no, $text ) { fwrite( STDERR, $text ); exit( 9 ); } );"
    ears.udp.close()
    ears.unix.close()
    change(ears.site.store, "DELETE FROM wp_wpbridge_runners")
    for address in (
        f"udp:127.0.0.1:{ears.port}",
        f"unix:{ears.path}",
        "unix:/nowhere/s",
        f"unix:/{'x' * 200}",
        "udp:[::1]:9 udp:240.0.0.1:9",
    ):
        ears.announce(address)
    ears.site.php(f"{loud} {ASYNC}")


def test_the_first_address_that_takes_it_gets_it(ears: Ears) -> None:
    change(ears.site.store, "DELETE FROM wp_wpbridge_runners")
    ears.announce(f"unix:{ears.path} udp:127.0.0.1:{ears.port}")
    # Another worker of the same daemon.
    ears.announce(f"unix:{ears.path} udp:127.0.0.1:{ears.port}")
    ears.site.php(ASYNC)
    assert (ears.heard(ears.unix), ears.heard()) == (1, 0)
    # A stale socket.
    ears.unix.close()
    ears.site.php(ASYNC)
    assert ears.heard() == 1
    named = f"define( 'WPBRIDGE_WAKE', 'udp:127.0.0.1:{ears.port} unix:/nowhere' );"
    change(ears.site.store, "UPDATE wp_wpbridge_runners SET wake_address = 'udp:127.0.0.1:9'")
    ears.site.php(f"{named} {ASYNC}")
    assert ears.heard() == 1


def test_without_a_runner_nothing_is_sent(ears: Ears) -> None:
    runners = "wp_wpbridge_runners"
    breaks = {
        f"UPDATE {runners} SET beat_gmt = beat_gmt - INTERVAL 1 HOUR": (
            f"UPDATE {runners} SET beat_gmt = UTC_TIMESTAMP()"
        ),
        f"ALTER TABLE {runners} CHANGE wake_address other varchar(255)": (
            f"ALTER TABLE {runners} CHANGE other wake_address varchar(255)"
        ),
        f"RENAME TABLE {runners} TO wp_away": f"RENAME TABLE wp_away TO {runners}",
    }
    turns = [
        f"$wpdb->query( '{a}' ); {ASYNC} {END} $wpdb->query( '{b}' );" for a, b in breaks.items()
    ]
    ears.site.php(" ".join(turns))
    assert ears.heard() == 0
    ears.site.php(ASYNC)
    assert ears.heard() == 1


def test_without_a_secret_nothing_is_sent(ears: Ears) -> None:
    change(ears.site.store, "UPDATE wp_wpbridge_secrets SET secret = 'x'")
    ears.site.php(ASYNC)
    assert ears.heard() == 0


def test_after_a_rotation_the_new_key_signs(ears: Ears) -> None:
    signing = ears.site.store.parts.signing
    [row] = signing.stored()
    signing.rotate(expected=row.fingerprint)
    ears.keys = signing.keys("wake", max_age_seconds=0.0)[:1]
    ears.site.php(ASYNC)
    assert ears.heard() == 1


STORING = """<?php
add_action( 't_store', function () { as_enqueue_async_action( 't_elsewhere' ); } );
add_action( 't_store_later', function () { as_schedule_single_action( time() + 3600, 't_elsewhere' ); } );
"""


def test_a_php_worker_of_ours_wakes_only_for_what_hooks_store(both: BothSides) -> None:
    """Neither for what it does with a claim, nor for the next one of a recurring action."""
    site = both.site
    plugins = site.folder / "wp-content" / "mu-plugins"
    companion.install(plugins, "wp_", Ownership())
    (plugins / "storing.php").write_text(STORING)
    store, ear = site.open(), bound_to_udp("127.0.0.1", 0)
    address = f"udp:127.0.0.1:{ear.getsockname()[1]}"
    store.register(host="elsewhere", boot="", pid=1, pid_started="1", wake_address=address)
    [key] = store.parts.signing.keys("wake")
    try:
        for hook in ("t_noop", "t_store", "t_store_later", "t_store"):
            site.enqueue(hook)
        site.enqueue("t_noop", interval=3600)
        totals = site.run(hooks="t_noop,t_store,t_store_later")
        assert totals.complete == 5
        found = [wakes.read(ear.recv(4096)) for _ in range(2)]
        assert all(wake is not None and wake.is_signed([key]) for wake in found)
        with pytest.raises(BlockingIOError):
            ear.recv(4096)
    finally:
        (plugins / "storing.php").unlink()
        companion.remove(plugins, "wp_")
        change(store, "DELETE FROM wp_wpbridge_runners")
        store.close()
        ear.close()
