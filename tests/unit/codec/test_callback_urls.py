"""The URLs of callbacks: how they are read, and which a key may call."""

import ipaddress

import pytest

from wpbridge.codec.addresses import address_of, reach_of
from wpbridge.codec.callback_urls import allows_host, callback_url, refused

PUBLIC = (
    *("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1"),
    *("169.253.0.1", "192.169.0.1", "198.20.0.1", "223.255.255.255"),
    *("2606:4700::1111", "2a00::1", "2001:4860::8888"),
)
PRIVATE = (
    *("10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.0.9", "172.16.0.1", "172.31.255.255"),
    *("192.168.1.1", "::1", "fc00::1", "fd12:3456::1"),
)
NEVER = (
    *("0.0.0.0", "0.1.2.3", "169.254.169.254", "192.0.0.170", "192.0.2.1", "192.88.99.1"),
    *("198.18.0.1", "198.51.100.1", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "::", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::8.8.8.8"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:2::1"),
    *("2001:10::1", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1"),
    *("fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "4000::1"),
)


@pytest.mark.parametrize(
    ("reach", "texts"), [("public", PUBLIC), ("private", PRIVATE), ("never", NEVER)]
)
def test_each_address_has_its_reach(reach: str, texts: tuple[str, ...]) -> None:
    assert {text: reach_of(ipaddress.ip_address(text)) for text in texts} == dict.fromkeys(
        texts, reach
    )


def test_only_what_the_system_would_read_as_an_address_is_one() -> None:
    for text in ("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.01", "fe80::1%lo"):
        assert address_of(text) is None
    # As an address: its text is another one since Python 3.13.
    assert address_of("::FFFF:127.0.0.1") == ipaddress.ip_address("::ffff:7f00:1")


GOOD = {
    "https://example.com": ("https", "example.com", 443),
    "https://example.com/": ("https", "example.com", 443),
    "HTTPS://Example.COM:8443/a/b?c=d&e[]=%20": ("https", "example.com", 8443),
    "https://a-b.example_x.com?x": ("https", "a-b.example_x.com", 443),
    "https://xn--bcher-kva.example/": ("https", "xn--bcher-kva.example", 443),
    "http://localhost:1/x": ("http", "localhost", 1),
    "http://127.0.0.1/": ("http", "127.0.0.1", 80),
    "https://[2606:4700:0:0::1111]:65535/": ("https", "2606:4700::1111", 65535),
}
BAD = (
    *("", " ", "example.com", "//example.com/", "/x", "https:/example.com", "https:example.com"),
    *("ftp://example.com/", "file:///etc/passwd", "gopher://h/", "javascript://h/%0a", "ws://h/"),
    *("https://", "https:///x", "https://:443/", "https://?x", "https://user@example.com/"),
    *("https://user:pw@example.com/", "https://example.com@127.0.0.1/", "https://@example.com/"),
    *("https://example.com/#x", "https://example.com#", "https://example.com#@127.0.0.1/"),
    *("https://example.com\\@127.0.0.1/", "https:\\\\example.com", "https://example.com /"),
    *(" https://example.com/", "https://example.com/\n", "https://exa\tmple.com/", "https://a\0b/"),
    *("https://example.com/\r\nHost: x", "https://exämple.com/", "https://example.com/ä"),
    *("https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/"),
    *("https://127.0.0.0x1/", "https://1.2.3.4.5/", "https://127.0.0.1./", "https://example.com./"),
    *("https://.example.com/", "https://a..b/", "https://-a.com/", "https://a-.com/"),
    *("https://%31%32%37.0.0.1/", "https://ex%61mple.com/", "https://a,b/", "https://a;b/"),
    *("https://[::1/", "https://::1/", "https://[]/", "https://[127.0.0.1]/", "https://[::g]/"),
    *("https://[fe80::1%25eth0]/", "https://[::1]x/", "https://[::1]:x/", "https://h:/x"),
    *("https://h:0/", "https://h:65536/", "https://h:99999/", "https://h:-1/", "https://h:1:2/"),
    *(f"https://{'a' * 64}.com/", f"https://{'a.' * 127}com/", f"https://h/{'x' * 2000}"),
)


@pytest.mark.parametrize("url", GOOD)
def test_a_url_is_read(url: str) -> None:
    found = callback_url(url)
    assert (found.scheme, found.host, found.port) == GOOD[url]
    assert found.url == url


@pytest.mark.parametrize("url", [*BAD, None, 7, b"https://h/", ["https://h/"], {}])
def test_anything_else_is_refused(url: object) -> None:
    with pytest.raises(ValueError, match=r".+"):
        callback_url(url)


@pytest.mark.parametrize(
    ("hosts", "host", "is_allowed"),
    [
        (["example.com"], "example.com", True),
        (["Example.COM"], "example.com", True),
        (["example.com"], "www.example.com", False),
        (["example.com"], "badexample.com", False),
        (["*.example.com"], "www.example.com", True),
        (["*.example.com"], "a.b.example.com", True),
        (["*.example.com"], "example.com", False),
        (["*.example.com"], "badexample.com", False),
        (["*.com"], "example.com.evil.org", False),
        (["10.0.0.*"], "10.0.0.7", True),
        (["*"], "example.com", True),
        (["127.0.0.1"], "127.0.0.1", True),
        (["[::1]"], "::1", True),
        (["0:0::1"], "::1", True),
        ([], "example.com", False),
        ([""], "example.com", False),
    ],
)
def test_a_key_allows_the_hosts_of_its_list(hosts: list[str], host: str, is_allowed: bool) -> None:
    assert allows_host(hosts, host) is is_allowed


@pytest.mark.parametrize(
    ("url", "hosts", "allow_private", "is_allowed"),
    [
        ("https://example.com/", ["example.com"], False, True),
        ("https://example.com/", ["example.org"], True, False),
        ("http://example.com/", ["example.com"], False, False),
        # Whether it is private is seen when it is called.
        ("http://receiver.internal/", ["receiver.internal"], True, True),
        ("http://localhost/", ["localhost"], False, False),
        ("http://localhost/", ["localhost"], True, True),
        ("http://localhost/", ["127.0.0.1"], True, False),
        ("http://127.0.0.1/", ["127.0.0.1"], False, True),
        ("https://127.0.0.1/", ["127.0.0.1"], False, True),
        ("http://[::1]/", ["::1"], False, True),
        ("http://127.0.0.2/", ["127.0.0.1"], True, False),
        # A pattern names no address literally.
        ("http://127.0.0.1/", ["*"], False, False),
        ("http://127.0.0.1/", ["127.0.0.?"], False, False),
        ("http://127.0.0.1/", ["*"], True, True),
        ("https://8.8.8.8/", ["8.8.8.8"], False, True),
        ("http://8.8.8.8/", ["8.8.8.8"], True, False),
        ("http://169.254.169.254/", ["169.254.169.254"], True, False),
        ("https://[::ffff:127.0.0.1]/", ["::ffff:127.0.0.1"], True, False),
        ("https://0.0.0.0/", ["0.0.0.0"], True, False),
    ],
)
def test_a_url_is_allowed_or_refused_with_a_reason(
    url: str, hosts: list[str], allow_private: bool, is_allowed: bool
) -> None:
    reason = refused(callback_url(url), hosts, allow_private=allow_private)
    assert (reason is None) is is_allowed
