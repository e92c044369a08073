"""What must hold of the tables after any run, crash or race."""

from rows import query
from wpbridge.store.sqlstore import SqlStore


def check(store: SqlStore) -> None:
    """No claim without work, no work without a claim, every attempt and ending with its log."""
    actions, logs = "wp_actionscheduler_actions", "wp_actionscheduler_logs"
    held = query(
        store,
        f"SELECT action_id FROM {actions} WHERE status = 'in-progress'"
        " OR (status = 'pending' AND claim_id <> 0)",
    )
    assert not held, f"held by nobody: {held}"
    assert not query(store, "SELECT claim_id FROM wp_actionscheduler_claims")
    assert not query(store, "SELECT runner_id FROM wp_wpbridge_runners WHERE claims <> ''")
    for status, message in (("complete", "action complete%"), ("failed", "action failed%")):
        wrong = query(
            store,
            f"SELECT a.action_id FROM {actions} a WHERE a.status = '{status}' AND 1 <>"
            f" (SELECT COUNT(*) FROM {logs} l WHERE l.action_id = a.action_id"
            f" AND l.message LIKE '{message}')",
        )
        assert not wrong, f"{status} without exactly one log row of it: {wrong[:5]}"
    miscounted = query(
        store,
        f"SELECT a.action_id, a.attempts FROM {actions} a WHERE a.attempts <>"
        f" (SELECT COUNT(*) FROM {logs} l WHERE l.action_id = a.action_id"
        " AND l.message LIKE 'action started%')",
    )
    assert not miscounted, f"attempts differ from started rows: {miscounted[:5]}"
