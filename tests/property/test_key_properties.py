"""Idempotency keys differ whenever the work differs, and agree whenever it does not."""

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from wpbridge.codec.keys import key_of, work_hash


class Work(NamedTuple):
    site_id: str
    blog: str
    action_id: int
    hook: str
    args: bytes

    @property
    def key(self) -> str:
        return key_of(**self._asdict())


# Few and short texts of what tells parts from each other, so that they often nearly agree.
texts = st.text("1:a/\0\ud800", max_size=4)
works = st.builds(
    Work,
    texts,
    texts,
    st.one_of(st.integers(0, 12), st.integers(0, 2**64 - 1)),
    texts,
    st.one_of(st.binary(max_size=4), texts.map(lambda t: t.encode("utf-8", "surrogatepass"))),
)


@given(works, works)
def test_two_keys_agree_only_when_all_of_the_work_does(one: Work, other: Work) -> None:
    assert (one.key == other.key) is (one == other)


@given(works, works, st.sampled_from(Work._fields))
def test_one_difference_is_enough(one: Work, other: Work, name: str) -> None:
    changed = one._replace(**{name: getattr(other, name)})
    assert (one.key == changed.key) is (one == changed)


@given(works, works)
def test_the_hash_of_the_work_agrees_only_when_the_work_does(one: Work, other: Work) -> None:
    same = one[2:] == other[2:]
    assert (work_hash(*one[2:]) == work_hash(*other[2:])) is same
