"""How far a claim looks where others claim at the same time."""

from wpbridge.store.running.crowd import MOST_BATCHES, Crowd


def test_alone_it_looks_at_one_batch() -> None:
    crowd = Crowd()
    for _ in range(20):
        crowd.met(0)
    assert crowd.batches == 1


def test_it_looks_at_one_more_than_others_had() -> None:
    crowd = Crowd()
    crowd.met(1)
    assert crowd.batches == 2
    crowd.met(2)
    assert crowd.batches == 3
    crowd.met(1)
    assert crowd.batches == 3
    crowd.met(64)
    assert crowd.batches == MOST_BATCHES


def test_what_is_seldom_met_is_forgotten() -> None:
    crowd = Crowd()
    crowd.met(1)
    for _ in range(7):
        crowd.met(0)
    assert crowd.batches == 2
    crowd.met(0)
    assert crowd.batches == 1
