"""Hints say what errors mostly mean, and never more than the message does."""

import pytest

from wpbridge.dashboard.retry_hints import hint_of


@pytest.mark.parametrize(
    ("message", "chance"),
    [
        ("action failed via wpbridge: cURL error 28: Operation timed out after 10001 ms", "likely"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "likely"),
        ("HTTP 503 Service Unavailable", "likely"),
        ("the server answered status code 500", "likely"),
        ("HTTP 429: slow down", "likely"),
        ("Deadlock found when trying to get lock; try restarting transaction", "likely"),
        ("(2006, 'MySQL server has gone away')", "likely"),
        ("Could not resolve host: api.example.com", "likely"),
        ("HTTP 404 at /orders/12", "mend"),
        ("status: 401 Unauthorized", "mend"),
        ("Scheduled action for x will not be executed as no callbacks are registered.", "mend"),
        ("action failed via wpbridge: no callback is registered for mail", "mend"),
        ("There was a failure fetching this action: Action [7] bad json", "mend"),
        ("TypeError: send() missing 1 required positional argument", "mend"),
        (
            "unexpected shutdown: PHP Fatal error Uncaught Error: Call to undefined function x()",
            "partial",
        ),
        ("action was in-progress for at least 300 seconds without completing", "partial"),
        ("action marked as failed after 300 seconds. Unknown error occurred.", "partial"),
        ("its runner (worker 3 on web1) died while it ran, and it must not run twice", "partial"),
        ("the handler's process was killed by signal 9", "partial"),
        ("Allowed memory size of 134217728 bytes exhausted", "partial"),
        ("ran longer than 60 s and was ended", "partial"),
        ("boom", "unknown"),
        ("", "unknown"),
        ("order 500 of 4045 is gone", "unknown"),
        ("code 1404", "unknown"),
        ("\x1b[2J<script>alert(1)</script>" + "(" * 5000, "unknown"),
    ],
)
def test_words_of_errors(message: str, chance: str) -> None:
    found = hint_of(message)
    assert found.chance == chance
    assert found.words.endswith(".")
    assert "safe" not in found.words


def test_only_the_beginning_of_a_message_counts() -> None:
    assert hint_of("x" * 2_000 + "HTTP 503").chance == "unknown"
