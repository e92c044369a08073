"""What a move of the post store deleted comes back as it was, unless its action has lived since."""

import gzip
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from legacy_store import BEGAN, ZERO, LegacyStore, load_golden, snapshot
from rows import change, query
from sent import listen
from wpbridge.action import ActionId
from wpbridge.clock import SystemClock
from wpbridge.errors import InputError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.post_store.deleted_posts import DeletedPosts, file_of
from wpbridge.migrate.post_store.moving import PostStore, Summary
from wpbridge.migrate.post_store.undo import Undo, Undone
from wpbridge.store.database.connection import Connection
from wpbridge.store.posts.made import Made
from wpbridge.store.posts.posts import Posts
from wpbridge.store.posts.posts_back import PostsBack
from wpbridge.store.posts.whole_posts import WholePost, WholePosts
from wpbridge.store.running.runner_store import RunnerStore

KINDS = ("sqlite", "InnoDB", "MyISAM")
MARK = "action_scheduler_migration_status"
LOGS = "as_has_wp_comment_logs"
CLEANUP = "action_scheduler/cleanup_wp_comment_logs"


class Killed(Exception):
    """A process ends here."""


def killed(*_told: object) -> None:
    raise Killed


@pytest.fixture(params=KINDS)
def engine(request: pytest.FixtureRequest) -> str:
    """What posts are kept in."""
    return str(request.param)


@pytest.fixture
def plain(
    request: pytest.FixtureRequest,
    engine: str,
    tmp_path: Path,
    open_queue: Callable[[str], RunnerStore],
) -> RunnerStore:
    if engine == "sqlite":
        return open_queue(f"sqlite:///{tmp_path / 'queue.db'}")
    return open_queue(str(request.getfixturevalue("mysql_dsn")))


@pytest.fixture
def legacy(plain: RunnerStore, engine: str) -> LegacyStore:
    return LegacyStore(plain, engine=engine)


class Way:
    """There and back with one journal."""

    def __init__(self, store: RunnerStore, file: Path) -> None:
        self.store = store
        self.file = file

    def move(self, batch_size: int = 7) -> Summary:
        with self.journal() as journal:
            return PostStore(self.store.parts, batch_size=batch_size).move(journal, io.StringIO())

    def back(self) -> Undone:
        with self.journal() as journal:
            return Undo(self.store.parts, journal).run()

    def look(self) -> Undone:
        with self.journal() as journal:
            return Undo(self.store.parts, journal).look()

    def journal(self) -> Journal:
        return Journal(self.file, kind="post-store", site="test")


@pytest.fixture
def way(plain: RunnerStore, tmp_path: Path) -> Way:
    return Way(plain, tmp_path / "journal")


def action_of(legacy: LegacyStore, hook: str) -> int:
    rows = legacy.query("SELECT action_id FROM wp_actionscheduler_actions WHERE hook = :h", h=hook)
    return int(rows[0][0])


def posts(legacy: LegacyStore) -> set[str]:
    rows = legacy.query("SELECT post_title FROM wp_posts WHERE post_type = 'scheduled-action'")
    return {str(row[0]) for row in rows}


def actions(legacy: LegacyStore) -> set[str]:
    return {str(row[0]) for row in legacy.query("SELECT hook FROM wp_actionscheduler_actions")}


def run(legacy: LegacyStore, action: int) -> None:
    """As a runner ends it."""
    legacy.run(
        "UPDATE wp_actionscheduler_actions SET status = 'complete', attempts = attempts + 1,"
        " last_attempt_gmt = '2026-11-24 12:00:00' WHERE action_id = :i",
        i=action,
    )
    log(legacy, action, "action complete via WP Cron")


def log(legacy: LegacyStore, action: int, message: str) -> None:
    legacy.run(
        "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt, log_date_local)"
        " VALUES (:i, :m, '2026-11-24 12:00:00', '2026-11-24 12:00:00')",
        i=action,
        m=message,
    )


def option(legacy: LegacyStore, name: str) -> object:
    rows = legacy.query("SELECT option_value FROM wp_options WHERE option_name = :n", n=name)
    return rows[0][0] if rows else None


def is_swept(legacy: LegacyStore) -> bool:
    """No action is left, nor anything of one."""
    tables = ["actionscheduler_actions", "actionscheduler_logs"]
    own = legacy.store.parts.own
    own.look()
    tables += ["wpbridge_keys"] * own.has(legacy.store.names.keys)
    return not any(legacy.count(table) for table in tables)


# There and back


@pytest.mark.parametrize("seed", range(2))
def test_all_rows_are_as_they_were(
    legacy: LegacyStore, plain: RunnerStore, way: Way, seed: int
) -> None:
    legacy.fill(seed, 40)
    comment = legacy.comment(legacy.post("with_meta", group="alpha"), "row", BEGAN)
    legacy.run("INSERT INTO wp_commentmeta (comment_id, meta_key) VALUES (:c, 'k')", c=comment)
    page = legacy.post("page", post_type="page", status="publish")
    legacy.run("INSERT INTO wp_postmeta (post_id, meta_key) VALUES (:p, NULL)", p=page)
    before = snapshot(plain)
    assert way.move().is_complete
    assert snapshot(plain) != before
    done = way.back()
    assert (done.restored, done.is_good, done.is_reopened) == (41, True, True)
    assert snapshot(plain) == before
    assert is_swept(legacy)


def test_a_post_store_of_the_plugins_comes_back_to_the_byte(  # noqa: PLR0917 - fixtures
    request: pytest.FixtureRequest,
    plain: RunnerStore,
    engine: str,
    golden_dir: Path,
    way: Way,
    mysql_dsn: str,
) -> None:
    database = mysql_dsn.partition("localhost/")[2].partition("?")[0]
    server = request.getfixturevalue("mariadb")
    load_golden(server, golden_dir / "legacy/before.sql", plain, database, engine)
    before = snapshot(plain)
    options = query(plain, "SELECT option_name, option_value FROM wp_options ORDER BY 1")
    counts = query(plain, "SELECT term_taxonomy_id, count FROM wp_term_taxonomy ORDER BY 1")
    assert all(before[name] for name in ("posts", "postmeta", "term_relationships", "comments"))
    moved = way.move(batch_size=4)
    assert moved.is_complete
    done = way.back()
    assert (done.restored, done.is_good) == (sum(moved.moved.values()), True)
    assert snapshot(plain) == before
    assert query(plain, "SELECT option_name, option_value FROM wp_options ORDER BY 1") == options
    assert query(plain, "SELECT term_taxonomy_id, count FROM wp_term_taxonomy ORDER BY 1") == counts
    assert query(plain, "SELECT action_id FROM wp_actionscheduler_actions") == []


def test_bytes_and_odd_values_come_back(legacy: LegacyStore, plain: RunnerStore, way: Way) -> None:
    kind = "BLOB" if plain.parts.dialect.name == "sqlite" else "longblob"
    legacy.run(f"ALTER TABLE wp_posts ADD COLUMN raw {kind}")
    legacy.run("ALTER TABLE wp_posts ADD COLUMN price decimal(12, 3)")
    post = legacy.post("odd", raw=b"\xff\x00'%s\\", price=1.125)
    legacy.post("undated", post_date=ZERO, post_date_gmt=ZERO, post_modified_gmt=ZERO)
    legacy.meta(post, "emoji", "\U0001f418 100% ?:x \\ ' \x00")
    before = snapshot(plain)
    way.move()
    assert way.back().is_good
    assert snapshot(plain) == before


def test_terms_are_counted_as_wordpress_counts(legacy: LegacyStore, way: Way) -> None:
    legacy.post("done", status="publish", group="alpha")
    legacy.post("waiting", group="alpha")
    way.move()
    assert legacy.count("term_taxonomy", "count = 0") == 1
    way.back()
    assert legacy.count("term_taxonomy", "count = 1") == 1


def test_what_is_moved_back_can_be_moved_again_with_another_journal(
    legacy: LegacyStore, plain: RunnerStore, way: Way, tmp_path: Path
) -> None:
    legacy.fill(3, 20)
    before = snapshot(plain)
    way.move()
    way.back()
    with pytest.raises(InputError, match=r"undone.*--journal"):
        way.move()
    again = Way(plain, tmp_path / "second")
    assert again.move().is_complete
    # The first journal's actions are gone, and the second's are none of its.
    assert way.back().restored == 0
    assert legacy.count("actionscheduler_actions") == 20
    assert again.back().restored == 20
    assert snapshot(plain) == before


def test_called_again_it_finds_all_there(legacy: LegacyStore, plain: RunnerStore, way: Way) -> None:
    legacy.fill(4, 20)
    before = snapshot(plain)
    way.move()
    way.back()
    done = way.back()
    assert (done.restored, done.present, done.is_good) == (0, 20, True)
    assert snapshot(plain) == before


def test_a_move_that_left_some_comes_back_too(
    legacy: LegacyStore, plain: RunnerStore, way: Way
) -> None:
    legacy.fill(5, 10)
    legacy.post("broken", args="{")
    before = snapshot(plain)
    assert not way.move().is_complete
    done = way.back()
    assert (done.restored, done.is_good, done.is_reopened) == (10, True, False)
    assert snapshot(plain) == before


def test_looking_counts_what_is_done_and_changes_nothing(
    legacy: LegacyStore, plain: RunnerStore, way: Way
) -> None:
    legacy.fill(6, 20)
    legacy.post("run_since")
    way.move()
    run(legacy, action_of(legacy, "run_since"))
    before = (snapshot(plain), actions(legacy), way.file.read_bytes())
    seen = way.look()
    assert (snapshot(plain), actions(legacy), way.file.read_bytes()) == before
    done = way.back()
    assert (seen.restored, seen.stayed) == (done.restored, done.stayed) == (20, 1)
    shown = Counter(one["from"] for one in seen.samples)
    assert shown
    assert max(shown.values()) <= 3
    assert {one["hook"] for one in seen.samples} <= posts(legacy)
    assert done.samples == []


# What stays


@pytest.mark.parametrize(
    "changed",
    [
        "status = 'canceled'",
        "attempts = 1",
        "last_attempt_gmt = '2026-11-24 12:00:00'",
        "scheduled_date_gmt = '2036-01-01 00:00:00'",
    ],
)
def test_an_action_that_has_changed_stays_one(legacy: LegacyStore, way: Way, changed: str) -> None:
    legacy.post("touched")
    legacy.post("same")
    way.move()
    legacy.run(f"UPDATE wp_actionscheduler_actions SET {changed} WHERE hook = 'touched'")
    done = way.back()
    assert (done.restored, done.stayed, done.is_good) == (1, 1, False)
    assert (posts(legacy), actions(legacy)) == ({"same"}, {"touched"})
    assert legacy.count("postmeta") == 1


def test_one_that_has_run_and_was_set_back_stays_one(legacy: LegacyStore, way: Way) -> None:
    legacy.post("again")
    way.move()
    log(legacy, action_of(legacy, "again"), "action started via WP Cron")
    done = way.back()
    assert (done.stayed, actions(legacy), posts(legacy)) == (1, {"again"}, set())


def test_one_whose_log_was_emptied_stays_one(legacy: LegacyStore, way: Way) -> None:
    legacy.post("unlogged")
    way.move()
    legacy.run("DELETE FROM wp_actionscheduler_logs")
    done = way.back()
    assert (done.stayed, done.gone, actions(legacy)) == (1, 0, {"unlogged"})


def test_one_that_others_wait_for_stays_one(
    legacy: LegacyStore, plain: RunnerStore, way: Way
) -> None:
    legacy.post("first")
    way.move()
    plain.parts.own.ensure(plain.names.waits)
    change(
        plain,
        "INSERT INTO wp_wpbridge_waits (action_id, after_id, on_failed)"
        f" VALUES (4711, {action_of(legacy, 'first')}, 'cancel')",
    )
    done = way.back()
    assert (done.stayed, actions(legacy)) == (1, {"first"})


def test_a_claimed_one_is_left_until_its_runner_lets_it_go(
    legacy: LegacyStore, plain: RunnerStore, way: Way
) -> None:
    legacy.post("held")
    legacy.post("free")
    before = snapshot(plain)
    way.move()
    legacy.run("UPDATE wp_actionscheduler_actions SET claim_id = 9 WHERE hook = 'held'")
    done = way.back()
    assert (done.restored, done.busy, done.is_good) == (1, 1, False)
    assert (posts(legacy), actions(legacy)) == ({"free"}, {"held"})
    legacy.run("UPDATE wp_actionscheduler_actions SET claim_id = 0")
    done = way.back()
    assert (done.restored, done.present, done.is_good) == (1, 1, True)
    assert snapshot(plain) == before


def test_what_ended_and_was_cleaned_away_is_counted_and_never_revived(
    legacy: LegacyStore, plain: RunnerStore, way: Way
) -> None:
    legacy.post("cleaned")
    way.move()
    plain.session.transact(
        lambda c: plain.parts.retention.remove(c, [ActionId(action_of(legacy, "cleaned"))])
    )
    done = way.back()
    assert (done.gone, done.restored, done.is_good) == (1, 0, True)
    assert posts(legacy) == set()
    assert not done.is_reopened
    assert option(legacy, MARK) == "complete"


def test_another_action_under_the_id_of_one_that_is_gone_is_left_alone(
    legacy: LegacyStore, way: Way
) -> None:
    legacy.post("mine")
    way.move()
    legacy.run("UPDATE wp_actionscheduler_actions SET hook = 'other'")
    legacy.run("UPDATE wp_actionscheduler_logs SET message = 'action created'")
    done = way.back()
    assert (done.gone, actions(legacy), posts(legacy)) == (1, {"other"}, set())


def test_a_taken_id_is_never_overwritten(legacy: LegacyStore, way: Way) -> None:
    post = legacy.post("mine")
    legacy.post("fine")
    way.move()
    legacy.post("page", ID=post, post_type="page", logs=(), blob=b"")
    done = way.back()
    assert (done.restored, done.taken, done.is_good) == (1, 1, False)
    assert legacy.query("SELECT post_title FROM wp_posts WHERE ID = :i", i=post) == [("page",)]
    assert actions(legacy) == {"mine"}
    assert legacy.count("postmeta", f"post_id = {post}") == 0


def test_ids_of_meta_and_comments_that_are_taken_become_new_ones(
    legacy: LegacyStore, way: Way
) -> None:
    post = legacy.post("mine", logs=("first", "second"))
    for comment, _ in legacy.query("SELECT comment_ID, comment_content FROM wp_comments"):
        legacy.run("INSERT INTO wp_commentmeta (comment_id, meta_key) VALUES (:c, 'k')", c=comment)
    way.move()
    legacy.run("INSERT INTO wp_postmeta (meta_id, post_id, meta_key) VALUES (1, 999, 'theirs')")
    legacy.run(
        "INSERT INTO wp_comments (comment_ID, comment_post_ID, comment_date, comment_date_gmt,"
        " comment_content, comment_type) VALUES (1, 999, :d, :d, 'theirs', 'comment')",
        d="2026-01-01 00:00:00",
    )
    assert way.back().is_good
    assert legacy.count("postmeta", f"post_id = {post} AND meta_id > 1") == 1
    told = legacy.query(
        "SELECT c.comment_content, m.meta_key FROM wp_comments c LEFT JOIN wp_commentmeta m"
        " ON m.comment_id = c.comment_ID WHERE c.comment_post_ID = :p"
        " ORDER BY c.comment_content",
        p=post,
    )
    assert [tuple(row) for row in told] == [("first", "k"), ("second", "k")]
    assert legacy.count("comments", "comment_content = 'theirs'") == 1
    assert legacy.count("postmeta", "meta_key = 'theirs'") == 1


# The end that a move wrote


def test_the_mark_and_the_plugins_clean_up_are_taken_back(legacy: LegacyStore, way: Way) -> None:
    legacy.comment(4711, "of a post that is gone", BEGAN)
    legacy.post("fine")
    assert way.move().is_complete
    assert (option(legacy, MARK), option(legacy, LOGS)) == ("complete", "yes")
    assert CLEANUP in actions(legacy)
    done = way.back()
    assert (done.restored, done.is_good, done.is_reopened) == (1, True, True)
    assert (option(legacy, MARK), option(legacy, LOGS)) == (None, None)
    assert actions(legacy) == set()


def test_options_get_the_values_they_had(legacy: LegacyStore, way: Way) -> None:
    for name, value in ((MARK, "odd"), (LOGS, "yes")):
        legacy.run(
            "INSERT INTO wp_options (option_name, option_value, autoload) VALUES (:n, :v, 'yes')",
            n=name,
            v=value,
        )
    legacy.post("fine")
    way.move()
    way.back()
    assert (option(legacy, MARK), option(legacy, LOGS)) == ("odd", "yes")


def test_somebody_elses_clean_up_stays(legacy: LegacyStore, way: Way) -> None:
    legacy.comment(4711, "of a post that is gone", BEGAN)
    legacy.post("fine")
    way.move()
    legacy.run(
        "UPDATE wp_actionscheduler_actions SET scheduled_date_gmt = '2036-01-01 00:00:00'"
        " WHERE hook = :h",
        h=CLEANUP,
    )
    way.back()
    assert actions(legacy) == {CLEANUP}


def test_posts_that_come_back_are_seen_whoever_marked_the_migration_complete(
    legacy: LegacyStore, plain: RunnerStore, way: Way, tmp_path: Path
) -> None:
    """Of two journals the first has no mark, and PHP would look at none of its posts."""
    legacy.fill(7, 14)
    legacy.comment(4711, "of a post that is gone", BEGAN)

    def stop(_count: int) -> None:
        raise KeyboardInterrupt

    with way.journal() as journal, pytest.raises(KeyboardInterrupt):
        PostStore(plain.parts, batch_size=7).move(journal, io.StringIO(), stop)
    assert Way(plain, tmp_path / "second").move().is_complete
    assert CLEANUP in actions(legacy)
    done = way.back()
    assert (done.restored, done.is_reopened, done.is_good) == (len(posts(legacy)), True, True)
    assert done.restored
    assert (option(legacy, MARK), option(legacy, LOGS)) == (None, None)
    assert CLEANUP not in actions(legacy)


def test_a_mark_from_before_the_move_does_not_come_back(legacy: LegacyStore, way: Way) -> None:
    legacy.run(
        "INSERT INTO wp_options (option_name, option_value, autoload) VALUES (:n, :v, 'yes')",
        n=MARK,
        v="complete",
    )
    legacy.post("overlooked")
    assert way.move().is_complete
    done = way.back()
    assert (done.restored, done.is_reopened, option(legacy, MARK)) == (1, True, None)


def test_an_undo_that_died_before_the_mark_was_gone_goes_on(
    legacy: LegacyStore, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    legacy.post("fine")
    way.move()
    with monkeypatch.context() as patch:
        patch.setattr(Undo, "_reopen", killed)
        with pytest.raises(Killed):
            way.back()
    assert (posts(legacy), option(legacy, MARK)) == ({"fine"}, "complete")
    done = way.back()
    assert (done.present, done.is_reopened, option(legacy, MARK)) == (1, True, None)


# Files


def test_a_journal_from_before_anything_was_kept_says_so(legacy: LegacyStore, way: Way) -> None:
    legacy.post("fine")
    with way.journal() as journal:
        journal.add({"moved": {"1": 1001}, "left": {}})
    with pytest.raises(InputError, match="kept nothing") as error:
        way.back()
    assert "\n" not in str(error.value)


def test_what_an_old_version_moved_is_counted_beside_what_comes_back(
    legacy: LegacyStore, way: Way
) -> None:
    with way.journal() as journal:
        journal.add({"moved": {"801": 901, "802": 902}, "left": {}})
    legacy.post("fine")
    way.move()
    done = way.back()
    assert (done.restored, done.unwritten, done.is_good) == (1, 2, False)


def test_a_journal_with_nothing_moved_puts_nothing_back(legacy: LegacyStore, way: Way) -> None:
    legacy.post("stays")
    done = way.back()
    assert (done.restored, done.is_good, posts(legacy)) == (0, True, {"stays"})
    assert way.move().is_complete


def test_a_missing_file_is_named_and_nothing_is_done(legacy: LegacyStore, way: Way) -> None:
    legacy.post("fine")
    way.move()
    file_of(way.file).unlink()
    with pytest.raises(InputError, match=r"journal\.undo\.jsonl\.gz is missing"):
        way.back()
    assert actions(legacy) == {"fine"}


def steps_of(way: Way, word: str) -> list[dict[str, Any]]:
    lines = way.file.read_text("utf-8").splitlines()[1:]
    return [step for step in map(json.loads, lines) if word in step]


@pytest.mark.parametrize("harm", ["bytes", "cut", "json"])
def test_a_damaged_part_is_counted_and_the_rest_comes_back(
    legacy: LegacyStore, way: Way, harm: str
) -> None:
    for number in range(9):
        legacy.post(f"hook_{number}", at=BEGAN + timedelta(seconds=number))
    way.move(batch_size=3)
    file = file_of(way.file)
    data = bytearray(file.read_bytes())
    last = steps_of(way, "to")[-1]
    if harm == "bytes":
        data[(last["from"] + last["to"]) // 2] ^= 0xFF
    elif harm == "cut":
        del data[last["to"] - 10 :]
    else:
        member = gzip.compress(b"[]", mtime=0)
        data[last["from"] :] = member + b"\0" * (last["to"] - last["from"] - len(member))
    file.write_bytes(bytes(data))
    done = way.back()
    assert (done.restored, done.damaged, done.is_good) == (6, 3, False)
    assert actions(legacy) == {"hook_6", "hook_7", "hook_8"}
    assert posts(legacy) == {f"hook_{number}" for number in range(6)}


def told(lines: list[Any], table: str, **values: object) -> None:
    """A value of the file's first row of a table, changed."""
    for name, value in values.items():
        lines[1]["rows"][table][0][lines[0]["columns"][table].index(name)] = value


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[0].pop("columns"),
        lambda lines: lines[0]["columns"].pop("posts"),
        lambda lines: lines[0]["columns"].update(posts="ID"),
        lambda lines: lines[0]["columns"]["posts"].pop(),
        lambda lines: lines[0]["columns"]["posts"].remove("ID"),
        lambda lines: lines[0]["columns"]["postmeta"].remove("meta_id"),
        lambda lines: lines[0]["columns"]["posts"].__setitem__(1, "a` b"),
        lambda lines: lines[1].pop("action"),
        lambda lines: lines[1].update(action="x"),
        lambda lines: lines[1]["rows"].pop("posts"),
        lambda lines: lines[1]["rows"].update(users=[[1]]),
        lambda lines: lines[1]["rows"]["posts"][0].pop(),
        lambda lines: lines[1]["rows"]["postmeta"][0].__setitem__(0, None),
        lambda lines: lines[1]["rows"]["posts"][0].__setitem__(1, {"base64": "?"}),
        lambda lines: lines[1]["rows"]["posts"][0].__setitem__(1, [1]),
        lambda lines: lines[1].update(post=4711),
        # Somebody has changed the file: another kind of post, and what hangs on another one.
        lambda lines: told(lines, "posts", post_type="page"),
        lambda lines: told(lines, "postmeta", post_id=4711),
        lambda lines: told(lines, "comments", comment_type="comment"),
        lambda lines: told(lines, "comments", comment_post_ID=4711),
        lambda lines: lines[0]["columns"]["posts"].__setitem__(2, "a%s"),
    ],
)
def test_a_part_that_means_nothing_is_counted_as_damaged(
    legacy: LegacyStore, way: Way, change: Callable[[list[Any]], object]
) -> None:
    legacy.post("one")
    way.move()
    file = file_of(way.file)
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    change(lines)
    packed = gzip.compress("".join(f"{json.dumps(line)}\n" for line in lines).encode())
    file.write_bytes(packed)
    text = way.file.read_text("utf-8").replace(
        f'"to": {steps_of(way, "to")[0]["to"]}', f'"to": {len(packed)}'
    )
    way.file.write_text(text, "utf-8")
    done = way.back()
    assert (done.restored, done.damaged, actions(legacy)) == (0, 1, {"one"})


@pytest.mark.parametrize(
    "step",
    [
        {"from": 0, "count": 1, "to": "x"},
        {"from": 0, "to": 9},
        {"count": 1, "to": 9},
        {"from": -4, "to": 9, "count": 1},
        {"from": 9, "to": 4, "count": 1},
        {"from": 0, "to": 9, "count": None},
        {"from": 0, "to": 9, "count": -1},
        {"moved": 5},
        {"moved": ["1"]},
        {"moved": {"x": 1}},
        {"moved": None},
        {"completing": {}},
        {"completing": None},
        {"completing": {"cleanup": 7, "options": {}}},
        {"completing": {"cleanup": "soon", "options": {MARK: None, LOGS: None}}},
        {"completing": {"cleanup": None, "options": {MARK: None}}},
        {"completing": {"cleanup": None, "options": {MARK: 1, LOGS: None}}},
        {"completing": {"cleanup": None, "options": {MARK: 'O:6:"Gadget":0:{}', LOGS: None}}},
    ],
)
def test_a_damaged_step_is_one_line_and_nothing_is_done(
    legacy: LegacyStore, way: Way, step: dict[str, Any]
) -> None:
    legacy.post("one")
    way.move()
    with way.journal() as journal:
        journal.add(step)
    number = len(way.file.read_text("utf-8").splitlines())
    with pytest.raises(InputError, match=f"journal {way.file}: line {number} is damaged$"):
        way.back()
    with pytest.raises(InputError, match="is damaged"):
        way.look()
    legacy.post("two")
    if "completing" not in step:
        with pytest.raises(InputError, match="is damaged"):
            way.move()
        assert (posts(legacy), actions(legacy)) == ({"two"}, {"one"})
    assert actions(legacy) == {"one"}


def test_a_file_of_another_move_is_neither_cut_nor_used(legacy: LegacyStore, way: Way) -> None:
    legacy.post("fine")
    way.move()
    way.file.unlink()
    data = file_of(way.file).read_bytes()
    legacy.post("later")
    with pytest.raises(InputError, match="of another move"):
        way.move()
    assert file_of(way.file).read_bytes() == data
    assert posts(legacy) == {"later"}


def test_a_move_does_not_go_on_without_its_file(legacy: LegacyStore, way: Way) -> None:
    legacy.post("fine")
    way.move()
    file_of(way.file).unlink()
    legacy.post("later")
    with pytest.raises(InputError, match="put that one back"):
        way.move()
    assert posts(legacy) == {"later"}


def test_what_was_written_and_not_noted_is_cut_off(legacy: LegacyStore, way: Way) -> None:
    legacy.post("one")
    way.move()
    with file_of(way.file).open("ab") as stream:
        stream.write(b"torn")
    legacy.post("two")
    way.move()
    assert file_of(way.file).stat().st_size == steps_of(way, "to")[-1]["to"]
    assert way.back().restored == 2


def test_what_cannot_be_written_is_not_deleted(
    legacy: LegacyStore, plain: RunnerStore, way: Way
) -> None:
    legacy.fill(9, 10)
    before = snapshot(plain)
    file_of(way.file).symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"undo\.jsonl\.gz: "):
        way.move()
    assert snapshot(plain) == before
    file_of(way.file).unlink()
    file_of(way.file).touch()
    assert way.move().is_complete
    assert legacy.count("actionscheduler_actions") == 10
    assert way.back().restored == 10
    assert snapshot(plain) == before


def test_rows_are_on_the_disk_before_they_are_deleted(
    legacy: LegacyStore, plain: RunnerStore, tmp_path: Path
) -> None:
    seen: list[tuple[int, int]] = []

    class Watched(Journal):
        def add(self, step: Any) -> None:
            super().add(step)
            if "to" in step:
                # Of the same session: the transaction is under way.
                kept = gzip.decompress(file_of(self.file).read_bytes()).count(b'{"post":')
                seen.append((legacy.count("posts"), kept))

    for number in range(4):
        legacy.post(f"hook_{number}")
    with Watched(tmp_path / "journal", kind="post-store", site="test") as journal:
        PostStore(plain.parts, batch_size=2).move(journal, io.StringIO())
    assert seen == [(4, 2), (2, 4)]


@pytest.fixture
def five(legacy: LegacyStore) -> LegacyStore:
    """One batch of posts."""
    for number in range(5):
        legacy.post(f"hook_{number}", group="alpha", at=BEGAN + timedelta(seconds=number))
    return legacy


@pytest.mark.parametrize("when", ["before", "halfway"])
@pytest.mark.parametrize("is_moved_on", [True, False])
def test_a_move_that_died_before_its_posts_were_gone_comes_back(  # noqa: PLR0917 - fixtures
    five: LegacyStore,
    plain: RunnerStore,
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    is_moved_on: bool,
) -> None:
    """The batch is in the file; with transactions nothing else is, without them both are."""
    real = WholePosts.delete

    def delete(self: WholePosts, connection: Connection, posts: Sequence[WholePost]) -> None:
        if when == "halfway":
            real(self, connection, posts, "another type")
        raise Killed

    before = snapshot(plain)
    with monkeypatch.context() as patch:
        patch.setattr(WholePosts, "delete", delete)
        with pytest.raises(Killed):
            way.move()
    if is_moved_on:
        assert way.move(batch_size=2).is_complete
        expected = (5, 0)
    else:
        expected = (5, 0) if five.count("actionscheduler_actions") else (0, 5)
    assert (way.look().restored, way.look().present) == expected
    done = way.back()
    assert (done.restored, done.present, done.gone, done.is_good) == (*expected, 0, True)
    assert snapshot(plain) == before
    assert is_swept(five)


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("deed", ["move", "back"])
def test_it_may_die_before_any_of_its_statements(
    five: LegacyStore, plain: RunnerStore, tmp_path: Path, deed: str, every: int
) -> None:
    """The short form tries every third statement; which of three comes first is by chance."""
    for comment, _ in five.query("SELECT comment_ID, comment_content FROM wp_comments"):
        five.run("INSERT INTO wp_commentmeta (comment_id, meta_key) VALUES (:c, 'k')", c=comment)
    before = snapshot(plain)
    for statement in range(random.randint(1, every), 200, every):  # noqa: S311 - a moment
        way = Way(plain, tmp_path / f"journal_{statement}")
        if deed == "back":
            assert way.move().is_complete
        has_died = dies(plain, statement, way.move if deed == "move" else way.back)
        there, here = posts(five), actions(five)
        hidden = five.count("posts", "post_type = 'wpbridge-undo'")
        # Without transactions a dead move leaves both, and a dead way back what nobody looks at.
        assert not there & here or deed == "move"
        asleep = 0 if here else hidden
        assert len(there | here) + asleep == 5
        done = way.back()
        assert (done.restored, done.is_good) == (len(here) + asleep, True), statement
        assert snapshot(plain) == before, statement
        assert is_swept(five), statement
        assert option(five, MARK) is None
        if not has_died:
            assert statement > 20
            return
    pytest.fail("it never came to its end")


def test_what_a_dead_move_had_copied_and_has_run_since_is_an_action_only(
    five: LegacyStore, plain: RunnerStore, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(DeletedPosts, "add", killed)
        with pytest.raises(Killed):
            way.move()
    ran = {"hook_2"} if actions(five) else set()
    for hook in ran:
        run(five, action_of(five, hook))
    done = way.back()
    assert (actions(five), posts(five)) == (ran, {f"hook_{n}" for n in range(5)} - ran)
    assert done.stayed == len(ran)


def test_the_upkeep_does_not_forget_which_posts_have_to_wake(
    five: LegacyStore, plain: RunnerStore, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed when their actions were gone, and found again days later."""
    before = snapshot(plain)
    way.move()

    with monkeypatch.context() as patch:
        patch.setattr(PostsBack, "_show", killed)
        patch.setattr(PostsBack, "_swap", killed)
        with pytest.raises(Killed):
            way.back()
    asleep = five.count("posts", "post_type = 'wpbridge-undo'")
    assert asleep == 5 or len(actions(five)) == 5
    plain.parts.own.look()
    plain.parts.retention.forget_keys(SystemClock().now() + timedelta(days=9))
    assert way.back().restored == 5
    assert snapshot(plain) == before


def test_a_post_that_was_half_way_back_goes_again_when_its_action_has_run(
    five: LegacyStore, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    way.move()

    with monkeypatch.context() as patch:
        patch.setattr(PostsBack, "_decide", killed)
        patch.setattr(PostsBack, "_swap", killed)
        with pytest.raises(Killed):
            way.back()
    run(five, action_of(five, "hook_2"))
    done = way.back()
    assert (done.restored, done.stayed) == (4, 1)
    assert actions(five) == {"hook_2"}
    assert [five.count(table) for table in ("posts", "postmeta", "comments")] == [4, 4, 4]
    assert five.count("term_relationships") == 4


def dies(store: RunnerStore, statement: int, deed: Callable[[], object]) -> bool:
    """Whether it sends so many statements, of which the last does not arrive."""
    sent = 0

    def count(*_told: object) -> None:
        nonlocal sent
        sent += 1
        if sent == statement:
            raise Killed

    stop = listen(store.session, "before", count)
    try:
        deed()
    except Killed:
        return True
    finally:
        stop()
    return False


def test_posts_that_ended_long_ago_come_back_too(
    legacy: LegacyStore, plain: RunnerStore, way: Way
) -> None:
    for status in ("publish", "failed", "trash", "in-progress"):
        legacy.post(status, status=status, at=SystemClock().now() - timedelta(days=900))
    before = snapshot(plain)
    way.move()
    assert way.back().restored == 4
    assert snapshot(plain) == before


def test_there_and_back_by_batches_of_bounded_bytes(
    legacy: LegacyStore, plain: RunnerStore, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch was 500 posts, whatever hung on them: 500 logs of 20 MB."""
    monkeypatch.setattr("wpbridge.store.posts.old_posts.WINDOW_BYTES", 300_000)
    long = "x" * 200_000
    for _ in range(2):
        legacy.post("small")
    legacy.meta(legacy.post("meta"), "other", long)
    legacy.post("stays", args=long)
    legacy.post("logs", logs=("x" * 60_000,) * 4)
    log = legacy.comment(legacy.post("log's meta"), "created", BEGAN)
    legacy.run(
        "INSERT INTO wp_commentmeta (comment_id, meta_key, meta_value) VALUES (:c, 'k', :v)",
        c=log,
        v=long,
    )
    for _ in range(3):
        legacy.post("small")
    before = snapshot(plain)
    asked: list[int] = []
    move, put_back = Posts.move, PostsBack.put_back

    def moved(self: Posts, ids: Sequence[int], *more: Any) -> Any:
        asked.append(len(ids))
        return move(self, ids, *more)

    def put(self: PostsBack, made: Sequence[Made], *more: Any) -> Any:
        asked.append(len(made))
        return put_back(self, made, *more)

    monkeypatch.setattr(Posts, "move", moved)
    monkeypatch.setattr(PostsBack, "put_back", put)
    assert sum(way.move(batch_size=500).moved.values()) == 8
    assert asked == [3, 1, 1, 4]
    asked.clear()
    assert way.back().restored == 8
    assert asked == [3, 1, 4]
    assert snapshot(plain) == before
