"""Literal values of `[target.backend]` are sent and written nowhere; processes that send them get them otherwise."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loadtest.config.environment import HIDDEN
from loadtest.config.keys.backend import MOST_HIDDEN, BackendTarget
from loadtest.config.run_dir import load_for_sending, load_resolved, write_settings
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.processes.supervisor import process_environ
from loadtest.services.backend import Backend
from tests.loadtest.config.test_settings import problems, resolved

HEADERS = {"X-Api-Key": "very-secret-1", "Authorization": "env:OUR_TOKEN", "X-User": "u-{user}"}
BODY = {"key": "another secret", "language": "en", "list": ["x", 12, True, None], "who": "{user}"}
OWN = {
    "target.backend": {"url": "http://127.0.0.1:9/start", "headers": HEADERS, "body": BODY},
    "target.avaturn_base_url": "http://127.0.0.1:9",
}
ENVIRON = {"AVATURN_API_KEY": "key", "OUR_TOKEN": "Bearer one-of-ours"}


def settings_of(run_dir: Path) -> Settings:
    settings = resolved(OWN, **ENVIRON)
    (run_dir / "journal").mkdir(parents=True)
    write_settings(settings, run_dir, started_at=datetime.now(UTC))
    return settings


def backend_of(settings: Settings) -> BackendTarget:
    assert settings.target.backend is not None
    return settings.target.backend


def test_settings_json_has_lengths_and_the_names_of_variables(tmp_path: Path) -> None:
    settings_of(tmp_path)
    text = (tmp_path / "settings.json").read_text()
    backend: dict[str, Any] = json.loads(text)["settings"]["target"]["backend"]
    assert backend["headers"] == {
        "X-Api-Key": "(13 characters)",
        "Authorization": "env:OUR_TOKEN",
        "X-User": "(8 characters)",
    }
    assert backend["body"] == {
        "key": "(14 characters)",
        "language": "(2 characters)",
        "list": ["(1 character)", "(2 characters)", True, None],
        "who": "(6 characters)",
    }
    assert "secret" not in text.replace('"secret": {', "")


def test_nor_does_anybody_see_them_who_prints_the_settings() -> None:
    settings = resolved(OWN, **ENVIRON)
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert "very-secret" not in text
        assert "another secret" not in text


def test_the_processes_of_a_run_send_them_all_the_same(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    keys = {"OPENAI_API_KEY": "", "AVATURN_API_KEY": "key"}
    environ = process_environ(tmp_path, keys=keys, salt="00", token="t", hidden=backend_of(settings).hidden())
    backend = backend_of(load_for_sending(tmp_path, environ))
    request = Backend(backend, ENVIRON).create_request(user=7, iteration=1, trace_id="t", traceparent="p")
    assert (request.headers["X-Api-Key"], request.headers["X-User"]) == ("very-secret-1", "u-7")
    assert request.headers["Authorization"] == "Bearer one-of-ours"
    assert request.body is not None
    assert json.loads(request.body) == {**BODY, "who": "7"}


def test_a_directory_alone_does_not_tell_them_and_a_length_is_never_sent(tmp_path: Path) -> None:
    settings_of(tmp_path)
    assert backend_of(load_resolved(tmp_path)).withheld == ["headers.X-Api-Key", "headers.X-User", "body"]
    with pytest.raises(ConfigError) as refused:
        load_for_sending(tmp_path, {})
    assert refused.value.problems == ["target.backend: headers.X-Api-Key, headers.X-User, body: not in the environment"]


def test_what_no_environment_can_hold_is_refused_before_anything_starts() -> None:
    long = {**OWN["target.backend"], "body": "x" * MOST_HIDDEN}  # type: ignore[dict-item]
    [problem] = problems({**OWN, "target.backend": long}, **ENVIRON)
    assert problem.startswith("target.backend: headers and body have 1001")
    assert HIDDEN == "AVALOAD_HIDDEN"
