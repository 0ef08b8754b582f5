"""Templates of links: what they may hold, and what is said of the others."""

from pathlib import Path

import pytest

from loadtest.config.resolve import resolve
from loadtest.errors.exceptions import ConfigError

GOOD = {
    "trace_url": (
        "https://tempo.example/trace/{trace_id}",
        "http://127.0.0.1:3000/explore?left=%7B%22id%22:%22{trace_id}%22%7D&from={from}&to={to}&run={run_id}",
        "https://[::1]:16686/trace/{trace_id}#spans",
    ),
    "grafana_url": (
        "https://grafana.example/d/avaload",
        "http://localhost:3000/d/x?var-run={run_id}&from={from}&to={to}",
    ),
}
WRONG = {
    ("trace_url", "ftp://x/{trace_id}"): "must begin with http:// or https:// and a host",
    ("trace_url", "javascript:alert({trace_id})"): "must begin with http:// or https:// and a host",
    ("trace_url", "//tempo.example/{trace_id}"): "must begin with http:// or https:// and a host",
    ("trace_url", "https:///{trace_id}"): "must begin with http:// or https:// and a host",
    ("trace_url", "https://tempo.example/trace"): "lacks {trace_id}: every session would have the same link",
    ("trace_url", "https://tempo.example/{traceid}"): (
        "{traceid} is no placeholder here; there are {trace_id}, {run_id}, {from}, {to}"
    ),
    ("trace_url", "https://{trace_id}.example/"): "a placeholder can't stand in the host",
    ("trace_url", "https://tempo.example/{trace_id}?left={"): (
        "a brace stands alone; placeholders are {trace_id}, {run_id}, {from}, {to}, other braces are %7B and %7D"
    ),
    ("trace_url", "https://tempo.example/{}/{trace_id}"): (
        "a brace stands alone; placeholders are {trace_id}, {run_id}, {from}, {to}, other braces are %7B and %7D"
    ),
    ("trace_url", "https://me:pw@tempo.example/{trace_id}"): (
        "must not hold a user or a password: everybody who has the page can read it"
    ),
    ("trace_url", "https://tempo.example:port/{trace_id}"): "is no URL: its host or port is wrong",
    ("trace_url", "https://tempo.example/a b/{trace_id}"): "holds a blank or a line break",
    ("grafana_url", "https://grafana.example/{trace_id}"): (
        "{trace_id} is no placeholder here; there are {run_id}, {from}, {to}"
    ),
    ("grafana_url", "grafana.example/d/x"): "must begin with http:// or https:// and a host",
}


@pytest.mark.parametrize(("key", "template"), [(key, each) for key, all_ in GOOD.items() for each in all_])
def test_a_template_of_a_link_is_taken_as_it_is(key: str, template: str) -> None:
    assert getattr(resolve(None, {f"output.{key}": template}, {}).output, key) == template


@pytest.mark.parametrize(("key", "template"), WRONG)
def test_a_wrong_template_is_one_line_that_says_what_is_wrong(key: str, template: str, tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(f"[output]\n{key} = '{template}'\n")
    with pytest.raises(ConfigError) as caught:
        resolve(file, {}, {})
    assert caught.value.problems == [f"{file}:2: output.{key}: {WRONG[key, template]}"]
