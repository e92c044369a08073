"""Read percentiles from the counts of buckets, as Prometheus' ``histogram_quantile`` does."""

from collections.abc import Sequence
from itertools import accumulate


def percentile(share: float, bounds: Sequence[float], counts: Sequence[float]) -> float | None:
    """Return the value below which this share of what was counted lies; None if nothing was.

    Within a bucket the values are taken to lie evenly. Of values above the highest bound no more
    is known, so that bound is returned.

    Args:
        share: from 0 to 1.
        bounds: the buckets' upper bounds, in rising order.
        counts: how many lie in each bucket, and at last above the highest bound.
    """
    cumulated = list(accumulate(counts))
    if not cumulated[-1]:
        return None
    rank = share * cumulated[-1]
    place = next(number for number, count in enumerate(cumulated) if count and count >= rank)
    if place == len(bounds):
        return bounds[-1]
    lower = bounds[place - 1] if place else 0.0
    below = cumulated[place] - counts[place]
    return lower + (bounds[place] - lower) * (rank - below) / counts[place]
