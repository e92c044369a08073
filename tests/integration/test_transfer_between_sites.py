"""Copies and files between prefixes and between a network's blogs, in one MariaDB database."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from cli_helpers import Done, call, is_one_line
from factories import insert, make_new
from rows import change, query
from servers import MariaDB
from stores import make_store, open_store
from wpbridge.clock import SystemClock
from wpbridge.queue.enqueue import Enqueue
from wpbridge.queue.facade import Queue
from wpbridge.site.database import DatabaseAddress
from wpbridge.store.running.runner_store import RunnerStore

PREFIXES = ("wp_", "wp_2_", "wp_3_", "shop_")
BLOGS = {1: "wp_", 2: "wp_2_", 3: "wp_3_"}


class Network:
    """A multisite network's folder and database, with one more site beside it."""

    def __init__(self, folder: Path, dsn: str, stores: dict[str, RunnerStore]) -> None:
        self.folder = folder
        self.dsn = dsn
        self.stores = stores

    def __call__(self, *words: str) -> Done:
        """A migration, as it is typed."""
        return call("migrate", *words, cwd=self.folder)

    def ok(self, *words: str) -> str:
        done = self(*words)
        assert (done.code, done.err) == (0, ""), done
        return done.out

    def copy(self, source: Sequence[str], target: Sequence[str]) -> str:
        return self.ok("copy", "--path", ".", *source, "--to-dsn", self.dsn, *target)

    def rows(self, prefix: str) -> list[tuple[object, ...]]:
        """Each action with what belongs to it, in an order that ids have no part in."""
        found = query(
            self.stores[prefix],
            "SELECT a.hook, a.args, a.extended_args, a.status, a.schedule, a.priority, a.attempts,"
            " a.scheduled_date_gmt, a.last_attempt_gmt, COALESCE(g.slug, ''),"
            f" (SELECT GROUP_CONCAT(l.message, l.log_date_gmt ORDER BY l.log_id)"
            f" FROM {prefix}actionscheduler_logs l WHERE l.action_id = a.action_id),"
            f" (SELECT GROUP_CONCAT(b.args ORDER BY b.args) FROM {prefix}wpbridge_waits w"
            f" JOIN {prefix}actionscheduler_actions b ON b.action_id = w.after_id"
            " WHERE w.action_id = a.action_id),"
            f" (SELECT zone FROM {prefix}wpbridge_zones z WHERE z.action_id = a.action_id)"
            f" FROM {prefix}actionscheduler_actions a LEFT JOIN {prefix}actionscheduler_groups g"
            " ON g.group_id = a.group_id",
        )
        return sorted((tuple(row) for row in found), key=repr)

    def count(self, prefix: str) -> int:
        return len(self.rows(prefix))


@pytest.fixture
def network(mariadb: MariaDB, mysql_dsn: str, tmp_path: Path) -> Iterator[Network]:
    name = DatabaseAddress.from_dsn(mysql_dsn).name
    html = tmp_path / "html"
    html.mkdir()
    (html / "wp-config.php").write_text(
        f"<?php define('DB_NAME', '{name}'); define('DB_USER', 'root'); define('DB_PASSWORD', '');"
        f" define('DB_HOST', 'localhost:{mariadb.socket}'); define('DB_CHARSET', 'utf8mb4');"
        " define('MULTISITE', true); $table_prefix = 'wp_';\n",
        "utf-8",
    )
    with ExitStack() as stack:
        stores = dict[str, RunnerStore]()
        for prefix in PREFIXES:
            store = stores[prefix] = make_store(DatabaseAddress.from_dsn(mysql_dsn), prefix)
            stack.callback(store.close)
        yield Network(html, mysql_dsn, stores)


def fill(network: Network, prefix: str, word: str) -> int:
    """Actions of every kind; returns how many. Their ids are those of the other blogs, too."""
    store = network.stores[prefix]
    ids = insert(
        store,
        *[
            make_new(f"{word}_{n}", args=(word, n), group=("", word, "ä")[n % 3], priority=n)
            for n in range(6)
        ],
        now=SystemClock().now(),
    )
    queue = Queue(store.parts, close_store=False)
    queue.enqueue(Enqueue(hook="waits", args=[word, "x" * 300], after=ids[:2]))
    queue.enqueue(Enqueue(hook="zoned", args=[word], cron="0 8 * * *", tz="Europe/Berlin"))
    for action, status in zip(ids[:3], ("complete", "failed", "canceled"), strict=True):
        change(
            store,
            f"UPDATE {prefix}actionscheduler_actions SET status = :s, attempts = 2,"
            f" last_attempt_gmt = '2026-03-29 01:30:00' WHERE action_id = {action}",
            s=status,
        )
    return len(ids) + 2


SITES = [
    (("--table-prefix", "wp_"), "wp_", ("--to-table-prefix", "shop_"), "shop_"),
    (("--blog-id", "1"), "wp_", ("--to-blog-id", "3"), "wp_3_"),
    (("--blog-id", "2"), "wp_2_", ("--to-blog-id", "3"), "wp_3_"),
    (("--blog-id", "3"), "wp_3_", ("--to-blog-id", "1"), "wp_"),
    (("--blog-id", "2"), "wp_2_", ("--to-table-prefix", "shop_"), "shop_"),
]
by_names = pytest.mark.parametrize(
    ("source", "prefix", "target", "to"), SITES, ids=[f"{s[1]}-{s[3]}" for s in SITES]
)


@by_names
def test_a_copy_is_the_same_and_touches_no_other_blog(
    network: Network, source: Sequence[str], prefix: str, target: Sequence[str], to: str
) -> None:
    for other in PREFIXES:
        fill(network, other, f"of{other}")
    before = {other: network.rows(other) for other in PREFIXES}
    told = network.copy(source, target)
    assert told.splitlines()[0].startswith("copied 8 actions, verified")
    assert network.rows(to) == sorted(before[to] + before[prefix], key=repr)
    assert {o: network.rows(o) for o in PREFIXES if o != to} == {
        o: rows for o, rows in before.items() if o != to
    }
    assert "copied 0 actions" in network.copy(source, target)
    assert network.count(to) == 16


@by_names
def test_a_file_goes_from_one_to_the_other_and_back_out_as_it_went_in(
    network: Network, source: Sequence[str], prefix: str, target: Sequence[str], to: str
) -> None:
    fill(network, prefix, "a")
    of_target = [word.replace("--to-", "--") for word in target]
    network.ok("export", "--path", ".", *source, "--output", "../first.jsonl")
    told = network.ok("import", "--path", ".", *of_target, "--input", "../first.jsonl")
    assert told.splitlines()[0].startswith("imported 8 actions, verified")
    assert network.rows(to) == network.rows(prefix)
    network.ok("export", "--path", ".", *of_target, "--output", "../second.jsonl")
    assert without_ids(network.folder / "../second.jsonl") == without_ids(
        network.folder / "../first.jsonl"
    )


def without_ids(file: Path) -> list[object]:
    """A file's actions; ids become places, so that what waits for what is compared as well."""
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    actions = [line for line in lines if "id" in line]
    places = {line["id"]: place for place, line in enumerate(actions)}
    for line in actions:
        line["id"] = places[line["id"]]
        line["after"] = [[places[one], rule] for one, rule in line.get("after", ())]
    assert [len(line["after"]) for line in actions].count(2) == 1
    return actions


def test_blogs_with_the_same_ids_come_together_in_one_queue(network: Network) -> None:
    for prefix in ("wp_2_", "wp_3_"):
        fill(network, prefix, prefix)
    for _ in range(2):
        for blog in ("2", "3"):
            network.copy(("--blog-id", blog), ("--to-table-prefix", "shop_"))
    assert network.rows("shop_") == sorted(network.rows("wp_2_") + network.rows("wp_3_"), key=repr)


def test_local_dates_are_those_of_the_blog_that_is_copied_to(network: Network) -> None:
    for prefix, zone in (("wp_", "America/New_York"), ("wp_2_", "Asia/Tokyo")):
        change(
            network.stores["wp_"],
            f"CREATE TABLE {prefix}options (option_id bigint PRIMARY KEY AUTO_INCREMENT,"
            " option_name varchar(191), option_value longtext)",
        )
        change(
            network.stores["wp_"],
            f"INSERT INTO {prefix}options (option_name, option_value)"
            " VALUES ('timezone_string', :z)",
            z=zone,
        )
    store = open_store(DatabaseAddress.from_dsn(network.dsn), "wp_")
    insert(store, make_new("h"))
    store.close()
    network.copy(("--blog-id", "1"), ("--to-blog-id", "2"))
    dates = [
        [
            str(value)
            for value in query(
                network.stores["wp_"],
                "SELECT scheduled_date_gmt, scheduled_date_local"
                f" FROM {prefix}actionscheduler_actions",
            )[0]
        ]
        for prefix in ("wp_", "wp_2_")
    ]
    assert dates == [
        ["2026-11-24 11:59:00", "2026-11-24 06:59:00"],
        ["2026-11-24 11:59:00", "2026-11-24 20:59:00"],
    ]


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--blog-id", "2", "--to-blog-id", "2"), 2, "the same queue"),
        (("--to-table-prefix", "wp_"), 2, "the same queue"),
        (("--blog-id", "7", "--to-blog-id", "2"), 78, "wp_7_actionscheduler_actions"),
        (("--to-blog-id", "7"), 78, "wp_7_actionscheduler_actions"),
        (("--to-table-prefix", "no-prefix_"), 78, "no-prefix_"),
        (("--to-blog-id", "0"), 2, "--to-blog-id"),
    ],
)
def test_a_blog_that_cannot_be_meant_is_one_line(
    network: Network, words: Sequence[str], code: int, why: str
) -> None:
    fill(network, "wp_", "a")
    done = network("copy", "--path", ".", "--to-dsn", network.dsn, *words)
    assert is_one_line(done, code), done
    assert why in done.err
    assert [network.count(prefix) for prefix in PREFIXES] == [8, 0, 0, 0]


def test_a_site_that_is_no_network_has_no_blogs(network: Network) -> None:
    config = network.folder / "wp-config.php"
    config.write_text(config.read_text("utf-8").replace("define('MULTISITE', true);", ""), "utf-8")
    done = network("export", "--path", ".", "--blog-id", "2", "--output", "../q.jsonl")
    assert is_one_line(done, 78)
    assert "is no network" in done.err
    assert not (network.folder.parent / "q.jsonl").exists()
