"""Where a connection goes when the resolver is hostile: nowhere, or to an address it was shown."""

import ipaddress
import socket
from collections.abc import Sequence

import pytest

from wpbridge.codec.addresses import Address
from wpbridge.codec.callback_urls import callback_url
from wpbridge.executors.dialing import AddressRefused, dial, resolved

NAME = "https://example.com:8443/x"


class Network:
    """Answers each look-up with the next of its lists, and takes connections."""

    def __init__(self, *answers: Sequence[str], down: Sequence[str] = ()) -> None:
        self.answers = list(answers)
        self.down = down
        self.called: list[tuple[str, int]] = []

    def resolve(self, host: str, port: int) -> list[Address]:
        assert (host, port) in {("example.com", 8443), ("example.com", 80)}
        return [ipaddress.ip_address(text) for text in self.answers.pop(0)]

    def connect(self, address: Address, port: int, seconds: float) -> socket.socket:
        assert 0 < seconds <= 5
        self.called.append((str(address), port))
        if str(address) in self.down:
            raise ConnectionRefusedError("down")
        return socket.socket()

    def dial(self, url: str, *, may_be_private: bool = False) -> None:
        dial(
            callback_url(url),
            5.0,
            may_be_private=may_be_private,
            resolve=self.resolve,
            connect=self.connect,
        ).close()


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"),
        *("64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1", "::127.0.0.1"),
    ],
)
@pytest.mark.parametrize("others", [[], ["1.1.1.1"], ["2606:4700::1111", "1.1.1.1"]])
def test_one_bad_address_is_enough_to_refuse_all(address: str, others: list[str]) -> None:
    for answer in ([address, *others], [*others, address]):
        network = Network(answer)
        with pytest.raises(AddressRefused, match=r"refused: example\.com leads to"):
            network.dial(NAME)
        assert network.called == []


def test_the_address_that_was_judged_is_connected_to_and_no_second_look_up_is_made() -> None:
    network = Network(["1.1.1.1"], ["127.0.0.1"])
    network.dial(NAME)
    assert (network.called, len(network.answers)) == ([("1.1.1.1", 8443)], 1)


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    network = Network(["2606:4700::1111", "1.1.1.1", "8.8.8.8"], down=["2606:4700::1111"])
    network.dial(NAME)
    assert network.called == [("2606:4700::1111", 8443), ("1.1.1.1", 8443)]
    with pytest.raises(ConnectionRefusedError):
        Network(["1.1.1.1"], down=["1.1.1.1"]).dial(NAME)
    with pytest.raises(OSError, match="no address"):
        Network([]).dial(NAME)


@pytest.mark.parametrize(
    ("address", "is_allowed"),
    [
        *(("127.0.0.1", True), ("10.0.0.1", True), ("::1", True), ("1.1.1.1", True)),
        *(("169.254.169.254", False), ("0.0.0.0", False), ("::ffff:127.0.0.1", False)),
    ],
)
def test_private_hosts_are_called_where_that_is_allowed_and_others_never(
    address: str, is_allowed: bool
) -> None:
    network = Network([address])
    if is_allowed:
        network.dial(NAME, may_be_private=True)
    else:
        with pytest.raises(AddressRefused):
            network.dial(NAME, may_be_private=True)
    assert bool(network.called) is is_allowed


def test_plain_http_goes_to_no_public_address() -> None:
    network = Network(["1.1.1.1"])
    with pytest.raises(AddressRefused, match="plain http"):
        network.dial("http://example.com/", may_be_private=True)
    network = Network()
    network.dial("http://127.0.0.1/", may_be_private=True)
    assert network.called == [("127.0.0.1", 80)]


def test_an_address_in_the_url_is_judged_too() -> None:
    with pytest.raises(AddressRefused):
        Network().dial("https://127.0.0.1/")
    network = Network()
    network.dial("https://[2606:4700::1111]/")
    assert network.called == [("2606:4700::1111", 443)]


def test_the_systems_resolver_gives_each_address_once() -> None:
    assert resolved("127.0.0.1", 80) == [ipaddress.ip_address("127.0.0.1")]
    assert resolved("::1", 80) == [ipaddress.ip_address("::1")]
