from pathlib import Path

from exporters.metrics import catalogue as c
from exporters.metrics.metric import Type
from exporters.metrics.metrics_page import _ABSENT, markdown
from loadtest.errors.causes import LIMITS
from loadtest.errors.kinds import Code
from loadtest.events.kinds import ON_A_SECRET, Step


def test_metrics_md_is_what_the_catalogue_says() -> None:
    written = (Path(__file__).parents[3] / "METRICS.md").read_text()
    assert written == markdown() + "\n", "run: python -m exporters.metrics.metrics_page > METRICS.md"


def test_what_metrics_md_says_there_is_no_metric_of_has_none() -> None:
    absent = [word for words, *_ in _ABSENT for word in words.split(", ") if not word.startswith("a ")]  # of labels
    assert "round-trip time" in absent
    parts = {part for metric in c.METRICS for part in metric.name.split("_")}
    assert [word for word in absent if word in parts] == []


def test_names_follow_the_conventions_of_prometheus() -> None:
    assert len(c.BY_NAME) == len(c.METRICS)
    for metric in c.METRICS:
        assert metric.name.startswith("avaload_")
        assert metric.name.endswith("_total") == (metric.type is Type.COUNTER)
        assert bool(metric.buckets) == (metric.type is Type.HISTOGRAM)
        assert not metric.buckets or metric.name.endswith("_seconds")
        assert list(metric.buckets) == sorted(set(metric.buckets))


def test_known_series_are_the_product_of_their_closed_labels() -> None:
    assert list(c.SECRET_AGE.initial(["a"])) == [(step,) for step in ON_A_SECRET]
    assert list(c.SESSIONS.initial(["a", "b"])) == [(s, o) for s in "ab" for o in ("ok", "failed", "cancelled")]
    assert list(c.SESSIONS_OPEN.initial(["a"])) == [()]
    assert list(c.WORKER_CPU.initial(["a"])) == []
    errors = set(c.LIFECYCLE_ERRORS.initial(["a"]))
    daily = [code for code in Code if code.startswith("daily_")]
    assert len(errors) == len(Step) * (len(Code) - 1 - len(LIMITS) - len(daily))
    assert ("a", "mint", "timeout") in errors
    assert ("a", "mint", "cancelled") not in errors
    assert ("a", "connect", "daily_ejected") not in errors  # so are the codes of a room that few use
    assert ("a", "mint", "open_files") not in errors  # a limit of this machine is there once it is met
    assert list(c.RULE_VIOLATIONS_WAIVED.initial(["a"])) == []
