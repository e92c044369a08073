"""Example handlers for the demo's hooks."""

from wpbridge import Context, Retry, hook


@hook("g_ok")
@hook("g_single")
@hook("g_ext")
@hook("g_rec")
@hook("g_cron")
@hook("g_other_group")
def do_nothing(*_values: object) -> None:
    """Succeed."""


@hook("g_assoc")
def sync_post(post_id: int, user_id: int, *, context: Context) -> None:
    """Take args by position, as a PHP callback does, and write into the action's own log."""
    context.log(f"synced post {post_id} for user {user_id}, attempt {context.attempt}")


@hook("g_fail")
def fail(_value: int) -> None:
    """Fail: the message lands in the action's log."""
    raise RuntimeError("boom: détail")


@hook("g_nocallback")
def later(_value: int) -> None:
    """Ask to run again in ten minutes."""
    raise Retry(after=600, reason="the other side is busy")


@hook("g_rec_fail")
@hook("g_rec_fail_once")
def fail_again() -> None:
    """Fail, as a recurring action: its chain goes on, unless the five oldest runs all failed."""
    raise RuntimeError("boom: détail")


@hook("g_badjson")
@hook("g_badsched")
def never_called(*_values: object) -> None:
    """Their rows are corrupted: they are failed with the reason, and run nothing."""
