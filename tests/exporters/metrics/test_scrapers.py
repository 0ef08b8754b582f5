"""What a run refuses before anything is started when it comes to who may scrape it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from loadtest.config.access.scrapers import PASSWORD, login
from loadtest.config.resolve import resolve
from loadtest.errors.exceptions import ConfigError


def problems(options: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        resolve(None, options, environ)
    return raised.value.problems


def test_a_good_certificate_and_a_login_are_taken_from_options_or_the_environment(certified: tuple[Path, Path]) -> None:
    certificate, key = certified
    options = {"output.metrics_cert": certificate, "output.metrics_key": key, "output.metrics_user": "ops"}
    settings = resolve(None, options, {PASSWORD: "s3cret"})
    assert (settings.output.metrics_cert, settings.output.metrics_key) == (certificate, key)
    assert login(settings.output, {PASSWORD: "s3cret"}) == ("ops", "s3cret")
    assert "s3cret" not in settings.model_dump_json()
    assert resolve(None, {}, {"AVALOAD_OUTPUT__METRICS_USER": "ops", PASSWORD: "x"}).output.metrics_user == "ops"
    assert login(resolve(None, {}, {PASSWORD: "s3cret"}).output) is None


def test_what_can_not_be_used_is_said_once_each_before_anything_is_started(certified: tuple[Path, Path]) -> None:
    certificate, key = certified
    nowhere = certificate.with_name("nowhere.pem")
    assert problems({"output.metrics_cert": certificate, "output.metrics_user": "ops"}, {}) == [
        "output: metrics_cert and metrics_key belong together: give both, or neither",
        f"output.metrics_user: {PASSWORD} is not set in the environment",
    ]
    assert problems({"output.metrics_cert": certificate, "output.metrics_key": nowhere}, {}) == [
        f"output.metrics_cert: {nowhere}: No such file or directory"
    ]
    os.mkfifo(pipe := certificate.with_name("pipe.pem"))
    assert problems({"output.metrics_cert": certificate, "output.metrics_key": pipe}, {}) == [
        f"output.metrics_cert: {pipe}: a pipe, not a file"
    ]
    swapped = {"output.metrics_cert": key, "output.metrics_key": certificate}
    assert problems(swapped, {}) == [
        f"output.metrics_cert: {key}, {certificate}: not a certificate and its key in PEM format"
    ]
    (wrong,) = problems({"output.metrics_user": "a:b"}, {PASSWORD: "x"})
    assert wrong.startswith("output.metrics_user: ")
