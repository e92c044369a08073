"""The post store moves whole: nothing twice, nothing lost, what cannot be read stays a post."""

import io
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from legacy_store import BEGAN, ZERO, LegacyStore
from rows import change, column, log_of, query
from sent import listen
from wpbridge.clock import SystemClock
from wpbridge.codec import schedule
from wpbridge.errors import Contention, SiteError
from wpbridge.migrate.journal import Journal
from wpbridge.migrate.post_store.deciding import STATUSES, InProgress
from wpbridge.migrate.post_store.moving import PostStore, Summary
from wpbridge.store.posts.old_posts import OldPosts
from wpbridge.store.running.runner_store import RunnerStore

OLD_SINGLE = (
    b'O:30:"ActionScheduler_SimpleSchedule":1:'
    b'{s:41:"\0ActionScheduler_SimpleSchedule\0timestamp";i:1772359200;}'
)


@pytest.fixture
def plain(dsn: str, open_queue: Callable[[str], RunnerStore]) -> RunnerStore:
    return open_queue(dsn)


@pytest.fixture
def legacy(plain: RunnerStore) -> LegacyStore:
    return LegacyStore(plain)


@pytest.fixture
def migrate(plain: RunnerStore, tmp_path: Path) -> Callable[..., Summary]:
    """Move all; the side file's text is in ``side.text`` afterwards."""

    def move(*, in_progress: InProgress = "complete", batch_size: int = 7) -> Summary:
        it = PostStore(plain.parts, in_progress=in_progress, batch_size=batch_size)
        side = io.StringIO()
        with Journal(tmp_path / "journal", kind="post-store", site="test") as journal:
            done = it.move(journal, side)
        (tmp_path / "side").write_text(side.getvalue(), "utf-8")
        return done

    return move


def action_of(legacy: LegacyStore, hook: str) -> int:
    rows = legacy.query("SELECT action_id FROM wp_actionscheduler_actions WHERE hook = :h", h=hook)
    assert len(rows) == 1
    return int(rows[0][0])


def is_empty(legacy: LegacyStore) -> bool:
    tables = ("posts", "postmeta", "comments", "commentmeta", "term_relationships")
    return not any(legacy.count(table) for table in tables)


@pytest.mark.parametrize("seed", range(4))
def test_every_post_becomes_one_action_and_leaves_nothing(
    legacy: LegacyStore, migrate: Callable[..., Summary], seed: int
) -> None:
    made = legacy.fill(seed, 60)
    logs = legacy.count("comments")
    done = migrate()
    rows = legacy.query("SELECT hook, status FROM wp_actionscheduler_actions ORDER BY action_id")
    wanted = {h: "complete" if s == "in-progress" else STATUSES[s].value for h, s in made.items()}
    assert {str(h): str(s) for h, s in rows} == wanted
    assert len(rows) == len(made)
    assert done.moved == Counter(wanted.values())
    assert done.is_complete
    assert is_empty(legacy)
    extra = Counter(made.values())
    added = len(made) + extra["trash"] + extra["in-progress"]
    assert legacy.count("actionscheduler_logs") == logs + added
    assert legacy.count("term_taxonomy", "count <> 0") == 0


def test_actions_are_made_in_the_plugins_order_with_ids_above_the_demarcation(
    legacy: LegacyStore, migrate: Callable[..., Summary]
) -> None:
    hour = timedelta(hours=1)
    legacy.post("running", status="in-progress")
    legacy.post("done", status="publish")
    legacy.post("canceled", status="trash")
    legacy.post("failed", status="failed")
    legacy.post("later", at=BEGAN + hour)
    legacy.post("first", at=BEGAN - hour)
    migrate(batch_size=2)
    rows = legacy.query("SELECT hook, action_id FROM wp_actionscheduler_actions ORDER BY action_id")
    assert [row[0] for row in rows] == ["first", "later", "failed", "canceled", "done", "running"]
    assert int(rows[0][1]) == 1001


def test_attempts_dates_and_groups_are_kept(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary]
) -> None:
    ended = BEGAN + timedelta(minutes=3)
    legacy.post("done", status="publish", attempts=3, modified=ended, group="größe & co")
    migrate()
    done = action_of(legacy, "done")
    assert column(plain, "attempts", done) == 3
    assert str(column(plain, "last_attempt_gmt", done)) == f"{ended:%Y-%m-%d %H:%M:%S}"
    assert str(column(plain, "scheduled_date_gmt", done)) == f"{BEGAN:%Y-%m-%d %H:%M:%S}"
    slug = "SELECT slug FROM wp_actionscheduler_groups WHERE group_id = :g"
    assert query(plain, slug, g=column(plain, "group_id", done)) == [("größe & co",)]


def test_an_async_action_is_kept(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary]
) -> None:
    legacy.post("soon", blob=schedule.encode(schedule.Async()))
    assert migrate().moved == {"pending": 1}
    found = column(plain, "schedule", action_of(legacy, "soon"))
    assert found == 'O:28:"ActionScheduler_NullSchedule":0:{}'


def test_a_schedule_of_version_2_is_written_as_version_3_does(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary]
) -> None:
    legacy.post("old", blob=OLD_SINGLE)
    migrate()
    at = datetime.fromtimestamp(1772359200, UTC)
    found = column(plain, "schedule", action_of(legacy, "old"))
    assert str(found).encode() == schedule.encode(schedule.single(at))


def test_a_foreign_schedule_is_kept_untouched(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary]
) -> None:
    legacy.post("foreign", blob=b'O:5:"Other":1:{s:1:"a";i:1;}', status="trash")
    migrate()
    assert column(plain, "schedule", action_of(legacy, "foreign")) == 'O:5:"Other":1:{s:1:"a";i:1;}'


@pytest.mark.parametrize("choice", ["complete", "failed", "pending"])
def test_what_a_dead_runner_left_becomes_what_was_asked_for_and_says_so(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary], choice: InProgress
) -> None:
    legacy.post("running", status="in-progress", claim="abc", attempts=1)
    migrate(in_progress=choice)
    running = action_of(legacy, "running")
    assert column(plain, "status", running) == choice
    assert column(plain, "claim_id", running) == 0
    expected = f"action was in-progress when it was migrated and has been marked as {choice}"
    assert expected in log_of(plain, running)
    assert (str(column(plain, "last_attempt_gmt", running)) == ZERO) == (choice == "pending")


def test_backslashes_that_the_post_store_lost_are_not_invented(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary]
) -> None:
    legacy.post("lossy", args='["u00e9","a/b"]')
    migrate()
    assert column(plain, "args", action_of(legacy, "lossy")) == '["u00e9","a\\/b"]'


def test_what_cannot_be_read_stays_a_post_and_is_written_down(
    legacy: LegacyStore, migrate: Callable[..., Summary], tmp_path: Path
) -> None:
    other = legacy.post("talked_about")
    legacy.comment(other, "what is this?", BEGAN, kind="comment")
    wrong = {
        legacy.post("broken_args", args='["say "hi""]'): "its args cannot be read",
        legacy.post("no_array", args="7"): "its args cannot be read",
        legacy.post("long", args=f'["{"x" * 8000}"]'): "8000",
        legacy.post("no_meta", blob=b""): "it has no schedule",
        legacy.post("bad_meta", blob=b'O:30:"ActionSch'): "its schedule cannot be read",
        legacy.post("odd", status="draft"): "unknown status 'draft'",
        legacy.post(""): "its hook has 0 characters",
        legacy.post("h" * 192): "its hook has 192 characters",
        other: "no log rows",
    }
    legacy.post("fine")
    comments, metas = legacy.count("comments"), legacy.count("postmeta")
    for _ in range(2):
        done = migrate(batch_size=2)
        rows = map(json.loads, (tmp_path / "side").read_text("utf-8").splitlines())
        reasons = {row["post"]: row["reason"] for row in rows}
        assert reasons.keys() == wrong.keys()
        assert [i for i, why in wrong.items() if why not in reasons[i].replace(",", "")] == []
        assert sum(done.left.values()) == len(wrong)
        assert not done.is_complete
    assert legacy.count("posts") == len(wrong)
    assert (legacy.count("comments"), legacy.count("postmeta")) == (comments - 1, metas - 1)
    assert legacy.count("actionscheduler_actions") == 1
    assert legacy.count("options", "option_name = 'action_scheduler_migration_status'") == 0


def test_two_metas_and_two_groups_are_read_as_php_reads_them(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary]
) -> None:
    post = legacy.post("two", group="beta")
    legacy.relate(post, "alpha")
    legacy.meta(post, "_action_manager_schedule", "no schedule at all")
    assert migrate().is_complete
    group = column(plain, "group_id", action_of(legacy, "two"))
    slug = "SELECT slug FROM wp_actionscheduler_groups WHERE group_id = :g"
    assert query(plain, slug, g=group) == [("alpha",)]
    assert is_empty(legacy)


def test_trash_extras_and_comment_meta_go_with_their_post(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary]
) -> None:
    post = legacy.post("canceled", status="trash", logs=())
    legacy.meta(post, "_wp_trash_meta_status", "pending")
    comment = legacy.comment(post, "action created", BEGAN)
    legacy.run("INSERT INTO wp_commentmeta (comment_id, meta_key) VALUES (:c, 'k')", c=comment)
    migrate()
    canceled = action_of(legacy, "canceled")
    blob = str(column(plain, "schedule", canceled)).encode()
    assert schedule.decode(blob) == schedule.Canceled(timestamp=int(BEGAN.timestamp()))
    assert is_empty(legacy)
    assert log_of(plain, canceled)[:2] == ["action canceled", "action created"]


def test_posts_of_other_types_and_those_the_plugin_migrated_are_left_alone(
    legacy: LegacyStore, migrate: Callable[..., Summary]
) -> None:
    page = legacy.post("page", post_type="page", status="publish")
    gone = legacy.post("gone", status="migrated")
    legacy.run("INSERT INTO wp_term_taxonomy (term_id, taxonomy) VALUES (77, 'link_category')")
    legacy.post("fine", group="alpha")
    assert migrate().is_complete
    rows = legacy.query("SELECT ID FROM wp_posts ORDER BY ID")
    assert [row[0] for row in rows] == [page, gone]
    assert legacy.count("postmeta") == 2


def test_zero_dates_take_the_schedules_date_and_logs_keep_theirs(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary]
) -> None:
    post = legacy.post("undated", post_date=ZERO, post_date_gmt=ZERO, logs=())
    legacy.comment(post, "action created", BEGAN, gmt=ZERO)
    migrate()
    undated = action_of(legacy, "undated")
    assert str(column(plain, "scheduled_date_gmt", undated)) == f"{BEGAN:%Y-%m-%d %H:%M:%S}"
    dates = query(plain, "SELECT log_date_gmt FROM wp_actionscheduler_logs ORDER BY log_id LIMIT 1")
    assert str(dates[0][0]) == ZERO


def test_many_posts_of_one_moment_are_all_seen(
    legacy: LegacyStore, migrate: Callable[..., Summary]
) -> None:
    for number in range(9):
        legacy.post(f"good_{number}")
        legacy.post(f"bad_{number}", blob=b"broken")
    done = migrate(batch_size=2)
    assert (done.moved["pending"], sum(done.left.values())) == (9, 9)
    assert legacy.count("posts") == 9


def test_a_target_with_rows_keeps_them(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary]
) -> None:
    legacy.post("one")
    migrate()
    before = query(plain, "SELECT * FROM wp_actionscheduler_actions")
    legacy.post("two")
    assert migrate().moved == {"pending": 1}
    assert query(plain, "SELECT * FROM wp_actionscheduler_actions WHERE hook = 'one'") == before


def test_a_post_that_is_changed_between_looking_and_moving_moves_as_it_is_then(
    legacy: LegacyStore,
    plain: RunnerStore,
    migrate: Callable[..., Summary],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed, gone = legacy.post("changed"), legacy.post("gone")
    real = OldPosts.ids

    def ids(self: OldPosts, status: str, after: tuple[str, int], size: int) -> object:
        found = real(self, status, after, size)
        change(plain, f"UPDATE wp_posts SET post_status = 'publish' WHERE ID = {changed}")
        change(plain, f"DELETE FROM wp_posts WHERE ID = {gone}")
        return found

    monkeypatch.setattr(OldPosts, "ids", ids)
    done = migrate()
    assert done.moved == {"complete": 1}
    assert legacy.count("actionscheduler_actions", "hook IN ('changed', 'gone')") == 1


def test_a_post_that_a_runner_holds_is_left_and_refused_before(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary]
) -> None:
    legacy.post("held", claim="0123456789abcdef0123", modified=SystemClock().now())
    with pytest.raises(Contention, match="1 post"):
        PostStore(plain.parts).check_alone()
    assert migrate().left == {"a runner of PHP's holds it": 1}
    assert legacy.count("posts") == 1


def test_a_runner_in_the_log_is_refused_until_ten_minutes_have_passed(
    legacy: LegacyStore, plain: RunnerStore
) -> None:
    it = PostStore(plain.parts)
    for minutes, seen in ((11, False), (2, True)):
        at = SystemClock().now() - timedelta(minutes=minutes)
        legacy.run(
            "INSERT INTO wp_actionscheduler_logs (action_id, message, log_date_gmt,"
            " log_date_local) VALUES (1, 'action started via WP Cron', :at, :at)",
            at=f"{at:%Y-%m-%d %H:%M:%S}",
        )
        if seen:
            with pytest.raises(Contention, match="WP Cron"):
                it.check_alone()
        else:
            it.check_alone()


def test_log_comments_without_a_post_make_the_plugin_clean_up_later(
    legacy: LegacyStore, migrate: Callable[..., Summary]
) -> None:
    legacy.comment(4711, "action created", BEGAN)
    legacy.post("fine")
    for _ in range(2):
        assert migrate().is_complete
    options = "SELECT option_value FROM wp_options WHERE option_name = 'as_has_wp_comment_logs'"
    assert legacy.query(options) == [("yes",)]
    action_of(legacy, "action_scheduler/cleanup_wp_comment_logs")


def test_looking_changes_nothing_and_counts_what_moving_does(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary]
) -> None:
    legacy.fill(7, 30)
    legacy.post("bad", args="{")
    posts = legacy.query("SELECT * FROM wp_posts")
    seen = PostStore(plain.parts, batch_size=4).look()
    assert legacy.query("SELECT * FROM wp_posts") == posts
    assert legacy.count("actionscheduler_actions") == 0
    done = migrate()
    assert (seen.moved, seen.left) == (done.moved, done.left)


def test_without_wordpress_there_is_nothing_to_move(plain: RunnerStore) -> None:
    with pytest.raises(SiteError, match="wp_posts"):
        PostStore(plain.parts)


def test_an_id_that_stands_twice_is_left(
    plain: RunnerStore, legacy: LegacyStore, migrate: Callable[..., Summary]
) -> None:
    if plain.parts.dialect.name == "mysql":
        legacy.run("ALTER TABLE wp_posts MODIFY ID bigint unsigned NOT NULL, DROP PRIMARY KEY")
    else:
        legacy.run("ALTER TABLE wp_posts RENAME TO old_posts")
        legacy.run("CREATE TABLE wp_posts AS SELECT * FROM old_posts")
    for hook in ("one", "two"):
        legacy.post(hook, ID=7)
    legacy.post("fine", ID=8)
    done = migrate()
    assert (done.moved, done.left) == ({"pending": 1}, {"its id stands in two rows": 1})
    assert legacy.count("posts", "ID = 7") == 2


def test_a_log_row_that_came_while_the_lock_was_waited_for_is_moved(
    mysql_dsn: str, tmp_path: Path, open_queue: Callable[[str], RunnerStore]
) -> None:
    """The post is read under its lock as it is, and its logs must not be older."""
    here, beside = open_queue(mysql_dsn), open_queue(mysql_dsn)
    legacy = LegacyStore(here)
    post = legacy.post("ends")
    left = ["once"]

    def before(*told: object) -> None:
        if left and "wp_posts" in str(told[0]) and "FOR UPDATE" in str(told[0]):
            left.clear()
            change(beside, f"UPDATE wp_posts SET post_status = 'publish' WHERE ID = {post}")
            change(
                beside,
                "INSERT INTO wp_comments (comment_post_ID, comment_date, comment_date_gmt,"
                f" comment_content, comment_type) VALUES ({post}, '2026-03-01 10:01:00',"
                " '2026-03-01 10:01:00', 'action complete via WP Cron', 'action_log')",
            )

    listen(here.session, "before", before)
    with Journal(tmp_path / "journal", kind="post-store", site="test") as journal:
        PostStore(here.parts).move(journal, io.StringIO())
    assert left == []
    assert query(here, "SELECT status FROM wp_actionscheduler_actions WHERE hook = 'ends'") == [
        ("complete",)
    ]
    logs = query(here, "SELECT message FROM wp_actionscheduler_logs")
    assert "action complete via WP Cron" in [row[0] for row in logs]


def test_a_post_that_gets_a_group_when_the_groups_were_looked_at_has_it(
    legacy: LegacyStore, plain: RunnerStore, migrate: Callable[..., Summary]
) -> None:
    """Groups are made before the transaction."""
    post = legacy.post("late")
    left = ["once"]

    def looked(*told: object) -> None:
        if left and str(told[0]).startswith("SELECT r.object_id, t.name"):
            left.clear()
            legacy.relate(post, "newcomers")

    listen(plain.session, "after", looked)
    assert migrate().is_complete
    assert left == []
    told = "SELECT slug FROM wp_actionscheduler_groups g JOIN wp_actionscheduler_actions a"
    assert query(plain, f"{told} ON a.group_id = g.group_id") == [("newcomers",)]
