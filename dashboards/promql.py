"""PromQL from the catalogue: a query can't name a metric, a label or a value of a closed set that does not exist."""

from collections.abc import Iterable, Sequence

from exporters.metrics.catalogue import Metric

HISTOGRAM_PARTS = ("_bucket", "_count", "_sum")


def selector(metric: Metric, part: str = "", *, fixed: Sequence[str] = (), **labels: str) -> str:
    """`name{…}`. A value that begins with "~" is a regular expression, one with "!" or "!~" is what the label is not.

    `part`: one of HISTOGRAM_PARTS, for histograms alone. `fixed`: matchers that come first, as they stand.
    """
    if bool(part) != bool(metric.buckets) or part not in ("", *HISTOGRAM_PARTS):
        raise ValueError(f"{metric.name}{part}: no such series")
    matchers = list(fixed)
    for name, value in labels.items():
        text = value.lstrip("~!")
        operator = {"~": "=~", "!": "!=", "!~": "!~"}.get(value.removesuffix(text), "=")
        _check(metric, part, name, text)
        matchers.append(f'{name}{operator}"{text}"')
    return f"{metric.name}{part}{{{','.join(matchers)}}}" if matchers else f"{metric.name}{part}"


def one_of(values: Iterable[str]) -> str:
    """What a label has to be, for `selector`: any of these."""
    return "~" + "|".join(values)


def larger(one: str, other: str) -> str:
    """The larger of two values, where `one` is above 0; nothing where it isn't."""
    return f"({one} > {other} or {other} and {one} > 0)"


def edge(metric: Metric, value: float) -> str:
    """An upper edge of the histogram's buckets as the label `le` writes it. Raises ValueError if it is none."""
    if value not in metric.buckets:
        raise ValueError(f"{metric.name}: {value} is not an edge of its buckets")
    return str(float(value))


def _check(metric: Metric, part: str, name: str, text: str) -> None:
    if name == "le" and part == "_bucket":
        if float(text) not in metric.buckets:
            raise ValueError(f"{metric.name}: {text} is not an edge of its buckets")
        return
    closed = {label.name: label.values for label in metric.labels}
    if name not in closed:
        raise ValueError(f"{metric.name} has no label {name}")
    known = closed[name]
    wrong = [] if known is None or text.startswith("$") else [value for value in text.split("|") if value not in known]
    if wrong:
        raise ValueError(f"{metric.name}: {name} is never {', '.join(wrong)}")
