"""Twenty loads of a queue, from calm to wild, for tests of what is advised."""

import math
import random
from collections.abc import Mapping

from queue_simulation import Load, Rate, Service


def _steady(rate: float) -> Rate:
    return lambda _at: rate


def _wave(least: float, most: float, period: float) -> Rate:
    return lambda at: least + (most - least) * (1 - math.cos(2 * math.pi * at / period)) / 2


def _on_off(low: float, high: float, period: float) -> Rate:
    """Low for the first half of each period, and high for the second."""
    return lambda at: high if at % period >= period / 2 else low


def _drift(first: float, last: float, seconds: float = 7200.0) -> Rate:
    return lambda at: first + (last - first) * at / seconds


def _step(before: float, after: float, moment: float) -> Rate:
    return lambda at: after if at >= moment else before


def _burst(rate: float, peak: float, moment: float, seconds: float) -> Rate:
    return lambda at: peak if moment <= at < moment + seconds else rate


def _fixed(seconds: float) -> Service:
    return lambda _chance: seconds


def _exponential(mean: float) -> Service:
    return lambda chance: chance.expovariate(1 / mean)


def _lognormal(mean: float, sigma: float) -> Service:
    return lambda chance: chance.lognormvariate(math.log(mean) - sigma * sigma / 2, sigma)


def _pareto(least: float, shape: float, most: float) -> Service:
    return lambda chance: min(most, least * chance.paretovariate(shape))


def _mixed(quick: float, slow: float, share: float) -> Service:
    def service(chance: random.Random) -> float:
        return slow if chance.random() < share else quick

    return service


LOADS: Mapping[str, Load] = {
    "constant": Load(_steady(4), 4, _fixed(1)),
    "constant, exponential": Load(_steady(3), 3, _exponential(2)),
    "hardly anything": Load(_steady(0.05), 0.05, _exponential(0.5)),
    "many short ones": Load(_steady(12), 12, _exponential(0.25), seconds=3600, asked=(1500, 3300)),
    "few long ones": Load(_steady(0.6), 0.6, _lognormal(20, 0.5), target=120),
    "heavy tail": Load(_steady(5), 5, _lognormal(1.2, 1.3)),
    "power law": Load(_steady(5), 5, _pareto(0.4, 1.8, 120)),
    "one in twenty is slow": Load(_steady(4), 4, _mixed(0.2, 20, 0.05)),
    "daily wave": Load(_wave(0.5, 6, 7200), 6, _exponential(1), asked=(3600, 6900)),
    "deep wave": Load(_wave(0.1, 10, 7200), 10, _exponential(0.8), asked=(3600, 5400)),
    "drift up": Load(_drift(1, 6), 6, _exponential(1)),
    "drift down": Load(_drift(6, 1), 6, _exponential(1)),
    "on and off": Load(_on_off(0.5, 5, 3600), 5, _exponential(1), asked=(1700, 3400)),
    "quick on and off": Load(_on_off(1, 5, 1500), 5, _exponential(1), asked=(700, 1450)),
    "step up": Load(_step(1, 6, 3600), 6, _exponential(1), asked=(3500, 4500)),
    "step down": Load(_step(6, 1.5, 3600), 6, _exponential(1), asked=(3500, 4500)),
    "a burst": Load(_burst(2, 10, 3600, 600), 10, _exponential(1), asked=(3400, 4100)),
    "batch at midnight": Load(
        _steady(0.5), 0.5, _exponential(1), batches=((3600, 600),), asked=(3400, 3615)
    ),
    "batch each half hour": Load(
        _steady(2),
        2,
        _exponential(0.5),
        batches=((1800, 500), (3600, 500), (5400, 500)),
        asked=(1815, 6900),
    ),
    "nothing but a batch": Load(
        _steady(0.2), 0.2, _lognormal(1, 0.3), batches=((3600, 900),), asked=(3615, 5400)
    ),
}
