"""Posts as rows of JSON: samples of what would be moved, and all that stay."""

import base64
from typing import Any

from wpbridge.store.posts.made import Moving
from wpbridge.store.posts.old_posts import LOG_TYPE, Post


def shown(post: Post, what: Moving) -> dict[str, Any]:
    """Return what a trial shows of a post that would be moved."""
    return {
        "post": post.id,
        "hook": post.hook,
        "from": post.status,
        "to": what.status.value,
        "args": what.new.args[:200],
        "group": what.new.group,
        "attempts": what.attempts,
        "scheduled": f"{what.new.scheduled_at:%Y-%m-%dT%H:%M:%SZ}",
        "logs": sum(log.kind == LOG_TYPE for log in post.logs),
    }


def left_as_row(post: Post, why: str) -> dict[str, Any]:
    """Return all that was read of a post, for the side file."""
    return {
        "post": post.id,
        "reason": why,
        "status": post.status,
        "hook": post.hook,
        "args": post.args,
        "date_gmt": post.date_gmt,
        "modified_gmt": post.modified_gmt,
        "attempts": post.attempts,
        "claim": post.claim,
        "groups": list(post.groups),
        "schedules_base64": [base64.b64encode(one).decode() for one in post.schedules],
        "logs": [
            {"date_gmt": log.gmt, "type": log.kind, "message": log.message} for log in post.logs
        ],
    }
