"""The export list is the API."""

import wpbridge


def test_every_public_name_is_there() -> None:
    assert wpbridge.__all__ == sorted(wpbridge.__all__)
    for name in wpbridge.__all__:
        assert getattr(wpbridge, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(wpbridge, "nonsense")
