"""Fair shares: simulated claims from groups that have so much to do."""

from collections import Counter

from wpbridge.runner.shares import LOOK_SECONDS, Shares


class Queue:
    """Rows by group, the flood's first, as the plugin's order has them."""

    def __init__(self, **rows: int) -> None:
        self.rows = dict(rows)
        self.now = 0.0
        self.order: list[str] = []

    def claim(self, shares: Shares, size: int = 10) -> list[str]:
        for left_out in shares.turns(self.now):
            found: list[str] = []
            for group, number in self.rows.items():
                if group not in left_out:
                    found += [group] * min(number, size - len(found))
            shares.taken(found, left_out, size)
            if found:
                for group in found:
                    self.rows[group] -= 1
                self.order += found
                return found
        return []

    def work(self, shares: Shares, claims: int, step: float = 0.01) -> Counter[str]:
        done: Counter[str] = Counter()
        for _ in range(claims):
            done.update(self.claim(shares))
            self.now += step
        return done


def test_without_weights_the_order_of_the_queue_is_all() -> None:
    queue = Queue(flood=500, small=10)
    assert queue.work(Shares({}), 20) == {"flood": 200}


def test_a_flood_leaves_the_others_their_part() -> None:
    queue = Queue(flood=10_000, small=10_000)
    done = queue.work(Shares({"*": 1}), 200)
    assert abs(done["flood"] - done["small"]) <= 30


def test_weights_decide_how_much() -> None:
    shares, queue = Shares({"orders": 3, "*": 1}), Queue(flood=10_000, orders=10_000, mail=10_000)
    queue.work(shares, 150)  # until all of them are known
    done = queue.work(shares, 500)
    assert abs(done["orders"] - 3000) <= 60
    assert abs(done["mail"] - 1000) <= 60
    assert abs(done["flood"] - 1000) <= 60


def test_what_comes_late_waits_for_one_look_at_most() -> None:
    shares, queue = Shares({"*": 1}), Queue(flood=100_000)
    queue.work(shares, 100)
    queue.rows["late"] = 3
    claims = int(LOOK_SECONDS / 0.01) + 1
    assert queue.work(shares, claims)["late"] == 3


def test_a_group_that_rests_saves_nothing_up() -> None:
    shares, queue = Shares({"*": 1}), Queue(flood=100_000, small=5)
    queue.work(shares, 1000)
    queue.rows["small"] = 100_000
    queue.work(shares, int(LOOK_SECONDS / 0.01) + 1)
    done = queue.work(shares, 100)
    assert abs(done["flood"] - done["small"]) <= 30


def test_everything_runs_to_its_end() -> None:
    queue = Queue(flood=300, a=7, b=25, c=1)
    shares = Shares({"flood": 5})
    queue.work(shares, 60)
    assert set(queue.rows.values()) == {0}
    assert queue.claim(shares) == []
