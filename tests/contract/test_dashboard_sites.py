"""The dashboard's sites of a network: each one's backlog, bounded, and renewed some at a time."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from factories import NOW
from rows import change, query
from wpbridge import Queue
from wpbridge.dashboard import sites as sites_module
from wpbridge.dashboard.sites import Sites
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.connect import connect, opened
from wpbridge.store.opened import OpenStore
from wpbridge.store.reading import network_sites
from wpbridge.store.running.runner_store import RunnerStore
from wpbridge.store.structure.creation import create_tables

TABLE = "actionscheduler_actions"
MakeSite = Callable[[str], OpenStore]


@pytest.fixture
def make_site(dsn: str) -> Iterator[MakeSite]:
    """Make the tables of another site in the same database."""
    made: list[OpenStore] = []

    def make(prefix: str) -> OpenStore:
        way = connect(DatabaseAddress.from_dsn(dsn), prefix, base_prefix="wp_")
        create_tables(way, everything=True)
        made.append(opened(way))
        return made[-1]

    yield make
    for store in made:
        store.close()


def make_network(store: RunnerStore, *blogs: int) -> None:
    columns = "blog_id bigint NOT NULL PRIMARY KEY, domain varchar(200), path varchar(100)"
    change(store, f"CREATE TABLE wp_blogs ({columns})")
    for blog in blogs:
        statement = "INSERT INTO wp_blogs (blog_id, domain, path) VALUES (:id, :domain, '/x/')"
        change(store, statement, id=blog, domain=f"site{blog}.example")


def test_the_queues_of_a_network_are_those_of_sites_in_use(
    store: RunnerStore, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_sites, "_BLOGS_A_PAGE", 2)
    make_network(store, 1, 2, 3, 4, 5, 6, 7, 8)
    for column in ("archived", "deleted", "spam"):
        change(store, f"ALTER TABLE wp_blogs ADD COLUMN {column} int NOT NULL DEFAULT 0")
    for blog in (2, 3, 4, 5, 8):
        make_site(f"wp_{blog}_")
    for blog, column in ((3, "archived"), (4, "deleted"), (5, "spam")):
        change(store, f"UPDATE wp_blogs SET {column} = 1 WHERE blog_id = {blog}")
    network = store.parts.network_sites
    assert [blog.id for blog in network.queues(most=10)] == [1, 2, 8]
    assert [blog.id for blog in network.queues(most=2)] == [1, 2]
    assert [blog.id for blog in network.queues(after=2, most=2)] == [8]


def test_a_site_alone_has_no_queues_of_a_network(store: RunnerStore) -> None:
    assert store.parts.network_sites.queues(most=10) == []


def add(store: OpenStore, *minutes: float, failed: bool = False) -> None:
    queue = Queue(store, close_store=False)
    for number in minutes:
        action = queue.schedule_single(NOW + timedelta(minutes=number), "h", [number])
        if failed:
            at = (NOW + timedelta(minutes=number)).strftime("%Y-%m-%d %H:%M:%S")
            change(
                store,
                f"UPDATE {store.names.actions} SET status = 'failed', last_attempt_gmt = :at"
                " WHERE action_id = :id",
                at=at,
                id=action,
            )


def test_a_site_alone_is_no_network(store: RunnerStore) -> None:
    seen = Sites().look(store.parts, NOW)
    assert (seen.is_network, seen.sites, seen.following) == (False, (), None)


def test_each_site_has_its_backlog_and_its_share(store: RunnerStore, make_site: MakeSite) -> None:
    make_network(store, 1, 2, 7)
    second = make_site("wp_2_")
    add(store.parts, -5, -9, 30)
    add(second, -60)
    add(second, -60 * 23, -60 * 25, failed=True)
    first, other, none = Sites().look(store.parts, NOW).sites
    assert first.address == "site1.example/x/"
    assert (first.prefix, first.is_own, first.share) == ("wp_", True, 2 / 3)
    assert first.backlog is not None
    assert (first.backlog.due, first.backlog.pending, first.backlog.failed) == (2, 3, 0)
    assert first.backlog.oldest_due == NOW - timedelta(minutes=9)
    assert (other.prefix, other.is_own, other.share) == ("wp_2_", False, 1 / 3)
    assert other.backlog is not None
    assert (other.backlog.due, other.backlog.pending, other.backlog.failed) == (1, 1, 1)
    assert (none.id, none.prefix, none.backlog, none.share, none.is_own) == (
        7,
        "",
        None,
        None,
        False,
    )
    # The gateway of another site sees the same network, and that it is another site's.
    assert [site.is_own for site in Sites().look(second, NOW).sites] == [False, True, False]


def test_pages_begin_after_an_id(store: RunnerStore, monkeypatch: pytest.MonkeyPatch) -> None:
    make_network(store, *range(1, 6))
    monkeypatch.setattr(sites_module, "PAGE", 2)
    sites, after, found = Sites(), 0, []
    while True:
        seen = sites.look(store.parts, NOW, after=after)
        found.append([site.id for site in seen.sites])
        if seen.following is None:
            break
        after = seen.following
    assert found == [[1, 2], [3, 4], [5]]
    assert sites.look(store.parts, NOW, after=99).is_network


def test_a_reading_renews_what_was_read_longest_ago(
    store: RunnerStore, make_site: MakeSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_network(store, 1, 2, 3)
    monkeypatch.setattr(sites_module, "RENEWED", 1)
    sites = Sites()
    for site in sites.look(store.parts, NOW).sites:
        assert site.read_at == NOW
    for number in (1, 2, 3):
        seen = sites.look(store.parts, NOW + timedelta(minutes=number))
        assert sum(site.read_at == NOW + timedelta(minutes=number) for site in seen.sites) == 1
    assert NOW not in [site.read_at for site in seen.sites]
    late = NOW + timedelta(minutes=30)
    assert {site.read_at for site in sites.look(store.parts, late).sites} == {late}


def test_memory_is_bounded_and_keeps_the_page(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_network(store, *range(1, 8))
    monkeypatch.setattr(sites_module, "PAGE", 3)
    monkeypatch.setattr(sites_module, "_KEPT", 2)
    sites = Sites()
    for after in (0, 3, 0):
        seen = sites.look(store.parts, NOW, after=after)
        assert len(seen.sites) == 3
    assert len(sites._known) == 3


def test_counts_of_a_site_end_at_the_cap(
    store: RunnerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_network(store, 1)
    add(store.parts, -1, -2, -3)
    monkeypatch.setattr(network_sites, "CAP", 2)
    [site] = Sites().look(store.parts, NOW).sites
    assert site.backlog is not None
    assert (site.backlog.due, site.backlog.pending) == (2, 2)


def test_the_first_site_of_an_old_network_has_a_number(
    store: RunnerStore, make_site: MakeSite
) -> None:
    make_network(store, 1)
    old = make_site("wp_1_")
    add(old, -1)
    [site] = Sites().look(old, NOW).sites
    # Both tables are there here: those without a number are WordPress's own choice since 3.0.
    assert site.prefix == "wp_"
    change(store, f"DROP TABLE wp_{TABLE}")
    [site] = Sites().look(old, NOW).sites
    assert (site.prefix, site.is_own) == ("wp_1_", True)
    assert query(old, "SELECT COUNT(*) FROM wp_blogs")
