"""Where the points of a chart lie, and the paths through them. Pure."""

from collections.abc import Iterable, Sequence

from wpbridge.web.pages.scales import is_drawn


def spread(count: int, first: float, last: float) -> list[float]:
    """Return so many places, evenly from the first to the last; one stands in the middle."""
    if count == 1:
        return [(first + last) / 2]
    return [first + (last - first) * n / (count - 1) for n in range(count)]


def bar_value(value: float | None) -> float:
    """Return a value as high as a bar of it is."""
    return max(0.0, value) if value is not None and is_drawn(value) else 0.0


def y_of(value: float, top: float, above: float, bottom: float) -> float:
    """Return where a value lies, no higher than the top and no lower than zero."""
    return bottom - min(1.0, max(0.0, value / top)) * (bottom - above)


def points(
    at: Sequence[float], values: Sequence[float | None], top: float, above: float, bottom: float
) -> list[list[tuple[float, float]]]:
    """Return the points of a line in runs, between which there are gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, value in zip(at, values, strict=True):
        if value is not None and is_drawn(value):
            runs[-1].append((x, y_of(value, top, above, bottom)))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def path_of(runs: Iterable[Sequence[tuple[float, float]]]) -> str:
    """Return a path through the runs; a single point is a line without length, which has ends."""
    parts: list[str] = []
    for run in runs:
        told_points = [f"{tenth(x)} {tenth(y)}" for x, y in run]
        parts.append("M" + "L".join(told_points if len(run) > 1 else told_points * 2))
    return "".join(parts)


def area_of(runs: Iterable[Sequence[tuple[float, float]]], bottom: float) -> str:
    """Return a path around what lies below the runs."""
    return "".join(
        f"{path_of([run])}L{tenth(run[-1][0])} {tenth(bottom)}L{tenth(run[0][0])} {tenth(bottom)}z"
        for run in runs
        if len(run) > 1
    )


def tenth(value: float) -> str:
    """Return a number of a path, to a tenth."""
    return f"{value:.1f}".removesuffix(".0")
