"""What a firing rule says to people. It holds no args, no addresses and no secrets."""

from wpbridge.monitor.rules import Firing, Rule, Unit

_SPANS = ((86_400, "d"), (3600, "h"), (60, "min"))
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def shown(value: float, unit: Unit) -> str:
    """Return a measure for people, such as ``12 min``, ``7.5 %`` or ``5 GB``."""
    if unit == "ratio":
        return f"{100 * value:.3g} %"
    if unit == "count":
        return f"{value:,.0f}"
    steps, least = (_SPANS, "s") if unit == "seconds" else (_SIZES, "B")
    for size, name in steps:
        if value >= size:
            return f"{value / size:.3g} {name}"
    return f"{value:.3g} {least}"


def summary(firing: Firing) -> str:
    """Return what is the case."""
    rule = firing.rule
    return rule.summary.format(
        value=shown(firing.value, rule.unit),
        threshold=shown(firing.threshold, rule.unit),
        of=firing.of,
    )


def title(rule: Rule, of: str) -> str:
    """Return the name of one instance of a rule."""
    return f"{rule.name} ({of})" if of else rule.name
