import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wpbridge.telling.fingerprint import fingerprint

UUID = "550e8400-e29b-41d4-a716-446655440000"
MD5 = "5f4dcc3b5aa765d61d8327deb882cf99"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("", ""),
        ("boom", "boom"),
        ("action failed: boom", "boom"),
        ("action failed via WP Cron: boom", "boom"),
        (
            "action failed via wpbridge: ValueError: no such order: 12",
            "ValueError: no such order: <n>",
        ),
        ("the action failed: boom", "the action failed: boom"),
        (" a \t b\r\n\n c\N{NO-BREAK SPACE}d ", "a b c d"),
        # Ids
        (f"Event {UUID} was seen before", "Event <id> was seen before"),
        (f"Event {UUID.upper()} was seen before", "Event <id> was seen before"),
        (f"Bad nonce {MD5}, commit 1a2b3c4d", "Bad nonce <id>, commit <id>"),
        ("<Order object at 0x7f3c2a1b4d50>", "<Order object at <id>>"),
        ("No such customer: 'cus_N4kPq8Lm2Xz1Yt'", "No such customer: 'cus_<id>'"),
        ("Invalid order key wc_order_AbcdEfgHijkLm", "Invalid order key wc_order_<id>"),
        (f"Token {JWT} has expired", "Token <id> has expired"),
        ("key=YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY3ODkw== refused", "key=<id> refused"),
        ("key=aGk+dGhlcmUvMTIz/NDU2Nzg5MEFCQ0RFRkc= refused", "key=<id> refused"),
        # Names, though long or with digits
        ("the decade of deadbeef, effaced", "the decade of deadbeef, effaced"),
        (
            "sha256, md5, utf8mb4_unicode_ci, OAuth2Client",
            "sha256, md5, utf8mb4_unicode_ci, OAuth2Client",
        ),
        ("WC_Gateway_Stripe_V2::process_payment", "WC_Gateway_Stripe_V2::process_payment"),
        ("wp_actionscheduler_actions is not there", "wp_actionscheduler_actions is not there"),
        (
            "require(/var/www/html/wp-content/plugins/WooCommerce/includes/Class.php)",
            "require(/var/www/html/wp-content/plugins/WooCommerce/includes/Class.php)",
        ),
        # Numbers
        ("Order #12345 not found", "Order #<n> not found"),
        ("order12345 not found", "order<n> not found"),
        ("Product '77' and \"78\" gone", "Product '<n>' and \"<n>\" gone"),
        ("Post 5 of blog wp_12_posts", "Post <n> of blog wp_<n>_posts"),
        ("took 30s, 1,500.5 ms, 512MB, 99%", "took <n>s, <n> ms, <n>MB, <n>%"),
        ("stock is -3, not +1.5e-05", "stock is <n>, not <n>"),
        ("SKU shirt-12 at 1.234,56", "SKU shirt-<n> at <n>"),
        ("Products 12, 15 and 18, 19, 20", "Products <n> and <n>"),
        ("in class-wc-order.php:123", "in class-wc-order.php:<n>"),
        ("#0 /srv/a.php(12): run() #1 {main}", "#<n> /srv/a.php(<n>): run() #<n> {main}"),
        # Money
        ("Refund of $12.50 failed", "Refund of <n> failed"),
        ("Refund of -$1,234.50 failed", "Refund of <n> failed"),
        ("Refund of 12,50 \N{EURO SIGN} failed", "Refund of <n> failed"),
        ("Refund of \N{EURO SIGN} 1.234,56 failed", "Refund of <n> failed"),
        ("Refund of 1\N{NARROW NO-BREAK SPACE}234,56 EUR failed", "Refund of <n> failed"),
        ("Refund of USD 7 failed", "Refund of <n> failed"),
        ("5 $order", "<n> $order"),
        # Dates and times
        ("since 2026-01-31", "since <date>"),
        ("since 2026-01-31 10:00:00", "since <date>"),
        ("since 2026-01-31T10:00:00.123456+00:00", "since <date>"),
        ("since 2026-01-31T10:00:00Z", "since <date>"),
        ("since 2026-01-31 10:00:00 UTC", "since <date>"),
        ("since 31.01.2026, 10:00", "since <date>"),
        ("since 1/31/2026 3:00 PM", "since <date>"),
        ("since Jan 31, 2026 3:00 pm", "since <date>"),
        ("since January 31st, 2026", "since <date>"),
        ("since Sat, 31 Jan 2026 10:00:00 +0000", "since <date>"),
        ("[31-Jan-2026 10:00:00 UTC] PHP Fatal error", "[<date>] PHP Fatal error"),
        ("Jan 31 10:00:00 web1 php", "<date> web1 php"),
        ("at 10:15", "at <date>"),
        ("March of 12 lines; May 5 lines", "March of <n> lines; May <n> lines"),
        # Addresses
        ("No mail to john.doe+shop@example.co.uk.", "No mail to <email>."),
        ("'root'@'localhost' denied", "'root'@'localhost' denied"),
        ("10.1.2.3:3306 refused", "<ip>:<n> refused"),
        (
            "2001:db8::8a2e:370:7334 or ::1 or 2001:db8:0:0:0:0:2:1 refused",
            "<ip> or <ip> or <ip> refused",
        ),
        ("ArrayAccess::offsetGet, add::add", "ArrayAccess::offsetGet, add::add"),
        # URLs
        (
            "GET https://api2.example.com:8443/v1 failed",
            "GET https://api2.example.com:8443/v1 failed",
        ),
        (
            "GET https://example.com/a/12/b?key=x&y=2#top failed",
            "GET https://example.com/a/<n>/b?<id> failed",
        ),
        (f"GET 'http://10.0.0.1/{UUID}'", "GET 'http://10.0.0.1/<id>'"),
        ("redis://user:p@ss@cache/0 is down", "redis://cache/<n> is down"),
        ("with url: /orders/5?token=x (Caused by", "with url: /orders/<n>?<id> (Caused by"),
        ("read and/or? no", "read and/or? no"),
        # Codes that say which failure it was
        ("HTTP 404 from shop", "HTTP 404 from shop"),
        ("HTTP/1.1 503 Service Unavailable", "HTTP/1.1 503 Service Unavailable"),
        ("HTTP status code: 429, wait 30", "HTTP status code: 429, wait <n>"),
        ('{"code":"gone","data":{"status":410}}', '{"code":"gone","data":{"status":410}}'),
        ("HTTP error 502; (code 401)", "HTTP error 502; (code 401)"),
        (
            "code 4042, status 99, HTTP 600, decode 404",
            "code <n>, status <n>, HTTP <n>, decode <n>",
        ),
        ("cURL error 28: timed out after 10001 ms", "cURL error 28: timed out after <n> ms"),
        ("[Errno 111] Connection refused", "[Errno 111] Connection refused"),
        ("SQLSTATE[42S02]: no table", "SQLSTATE[42S02]: no table"),
    ],
)
def test_what_varies_is_masked_and_the_rest_kept(message: str, expected: str) -> None:
    assert fingerprint(message) == expected
    assert fingerprint(expected) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "action failed via WP Cron: cURL error 28: Operation timed out after 10001 milliseconds with 0 bytes received",
            "action failed via Async Request: cURL error 28: Operation timed out after 5002 milliseconds with 1,024 bytes received",
        ),
        (
            "action failed: Allowed memory size of 268435456 bytes exhausted (tried to allocate 20480 bytes)",
            "action failed via WP CLI: Allowed memory size of 134217728 bytes exhausted (tried to allocate 8192 bytes)",
        ),
        (
            "Webhook https://hooks.example.com/9f8e7d6c5b4a/deliver?sig=aa1 answered HTTP 500",
            "Webhook https://hooks.example.com/0a1b2c3d4e5f/deliver?sig=bb2&again=1 answered HTTP 500",
        ),
        (
            "Subscription #981 renewal of $19.00 for ann@example.com failed on 2026-02-01",
            "Subscription #17,204 renewal of $5 for bob.b@mail.example.org failed on 2026-11-30 04:00:09",
        ),
        (
            "ConnectionError: HTTPConnectionPool(host='10.1.2.3', port=8080): <HTTPConnection object at 0x7f3c2a1b>",
            "ConnectionError: HTTPConnectionPool(host='10.1.99.13', port=80): <HTTPConnection object at 0x55d0c9ff00>",
        ),
        ("Out of stock: 12", "Out of stock: 12, 15, 18"),
        (
            "Uncaught TypeError in\n/srv/a.php:12\nStack trace:\n#0",
            "Uncaught TypeError in /srv/a.php:99 Stack trace: #0",
        ),
    ],
)
def test_the_same_failure_has_the_same_fingerprint(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 404 from the shop", "HTTP 503 from the shop"),
        ("status code 401", "status code 403"),
        ("cURL error 6: no host", "cURL error 7: no host"),
        ("SQLSTATE[40001]: 1213", "SQLSTATE[HY000]: 2006"),
        ("Order #5 not found", "Order #5 not paid"),
        ("GET https://a.example.com/1 failed", "GET https://b.example.com/1 failed"),
        ("Call to undefined method WC_Order::a()", "Call to undefined method WC_Order::b()"),
        ("No email to a@example.com", "No email to 10.0.0.1"),
    ],
)
def test_other_failures_have_other_fingerprints(one: str, other: str) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_a_long_message_is_cut_after_it_was_masked() -> None:
    assert fingerprint("x" * 300) == "x" * 200
    assert fingerprint("word " * 100) == ("word " * 40).rstrip()
    assert fingerprint(f"{'1' * 1900} too long") == "<n> too long"
    assert fingerprint(f"{'. ' * 1000}after what is read") == ("." + " ." * 99)


@pytest.mark.parametrize("count", [199, 200, 201])
@pytest.mark.parametrize(
    "last", ["55abc", "1a2b3c4d5e6f", "a@example.com", "2026-01-02", "HTTP 404x"]
)
def test_what_the_cut_leaves_is_masked_too(count: int, last: str) -> None:
    for start in range(count - len(last), count + 1):
        cut = fingerprint("-" * start + " " + last)
        assert fingerprint(cut) == cut


@pytest.mark.parametrize(
    "piece",
    [
        *(
            "a",
            "1",
            "a1",
            "aB1/",
            "aB1_",
            "a@",
            "a@a.",
            "aa://",
            "https://a?",
            "https://a@",
            "1.",
            "1:",
            "::1",
            "f:",
        ),
        *(
            "1,",
            "$ ",
            "code ",
            "HTTP",
            "Mon ",
            "Jan 1 ",
            "1 Jan ",
            "eyJ",
            "<n>",
            "<n>,",
            "action failed via ",
            "/?",
        ),
        *("action failed: ", "@", "+", "-", " ", "\0", "\ud800", "wc_order_", "0x", "e1", "1e"),
    ],
)
def test_the_longest_message_takes_no_time(piece: str) -> None:
    message = (piece * 65_535)[:65_535]
    started = time.process_time()
    found = fingerprint(message)
    assert time.process_time() - started < 0.25
    assert len(found) <= 200


@given(st.text())
def test_any_text_has_a_fingerprint_that_is_its_own(text: str) -> None:
    found = fingerprint(text)
    assert fingerprint(found) == found
    assert len(found) <= 200


AWKWARD = (
    "a|B|f|1|23|404|2026|-|:|/|.|,|@|?|#|+|=|_| |\n|<|>|$|'|://|http|HTTP |code|SQLSTATE[|cURL error "
    "|EUR|Jan|Mon |UTC|10:15|2026-01-02|0x|eyJ|wc_order_|deadbeef|<n>|<id>|<date>|<email>|<ip>"
    "|action failed: |action failed via |xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
)
pieces = st.sampled_from([*AWKWARD.split("|"), UUID])


@given(st.lists(pieces, max_size=80).map("".join))
def test_a_text_of_awkward_parts_has_one_too(text: str) -> None:
    found = fingerprint(text)
    assert fingerprint(found) == found
    assert len(found) <= 200


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.uuids(), st.uuids())
def test_numbers_and_ids_never_tell_messages_apart(
    a: int, b: int, one: object, other: object
) -> None:
    text = "Order #{} ({:,} items, event {}) of 'Hat' failed"
    assert fingerprint(text.format(a, b, one)) == fingerprint(text.format(b, a, other))
