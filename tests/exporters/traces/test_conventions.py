"""Spans in the words of OpenTelemetry's semantic conventions."""

import json
import pkgutil
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.semconv import _incubating, attributes
from opentelemetry.semconv.schemas import Schemas

from exporters.traces.conventions import SCHEMA_URL
from exporters.traces.process import export
from exporters.traces.spans import resource
from loadtest.config.settings import Settings
from loadtest.events.kinds import AnswerEnd, Event, Outcome, Step, StepFinished
from loadtest.journal import Journal, encode
from tests.exporters.traces.receiver import Receiver
from tests.exporters.traces.receiver import attributes as told
from tests.exporters.traces.script import run_finished, run_started, session

TARGET = {"openai_base_url": "http://127.0.0.1:8001/v1", "avaturn_base_url": "https://live.example"}
OWN = TARGET | {"backend": {"url": "http://127.0.0.1:9/{iteration}"}}


def exported(run_dir: Path, *events: Event, **given: Any) -> list[Span]:
    """`given`: of the settings."""
    settings = Settings.model_validate(
        {"name": "support", "target": TARGET, "realtime": {"model": "gpt-realtime"}} | given
    )
    (run_dir / "settings.json").write_text(json.dumps({"scenario": settings.model_dump(mode="json")}))
    with Journal(run_dir / "journal" / "engine.jsonl") as journal:
        for event in (run_started(), *events, run_finished()):
            journal.write(encode(event))
    with Receiver() as receiver:
        export(run_dir, otlp_endpoint=receiver.url, follow=False)
    assert receiver.schemas == {SCHEMA_URL}
    return receiver.spans


def named(spans: list[Span]) -> dict[str, dict[str, object]]:
    return {span.name.removeprefix("avaload."): told(span.attributes) for span in spans}


def without_ours(found: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in found.items() if not name.startswith("avaload.")}


def changed(events: list[Event], step: Step, **fields: Any) -> list[Event]:
    return [
        replace(event, **fields) if isinstance(event, StepFinished) and event.step is step else event
        for event in events
    ]


def test_a_step_that_is_a_request_is_a_span_of_an_http_client(tmp_path: Path) -> None:
    spans = exported(tmp_path, *changed(session(1), Step.DELETE, attempt=3))

    kinds = {span.name.removeprefix("avaload."): span.kind for span in spans}
    assert kinds == {
        **dict.fromkeys(("step mint", "step create", "step delete"), Span.SPAN_KIND_CLIENT),
        **dict.fromkeys(("session", "step connect", "step converse", "turn"), Span.SPAN_KIND_INTERNAL),
    }
    found = named(spans)
    assert without_ours(found["step mint"]) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": 8001,
        "url.full": "http://127.0.0.1:8001/v1/realtime/client_secrets",
        "url.template": "/v1/realtime/client_secrets",
        "user_agent.synthetic.type": "test",
        "gen_ai.request.model": "gpt-realtime",
    }
    assert without_ours(found["step create"]) == {
        "http.request.method": "POST",
        "http.response.status_code": 201,
        "server.address": "live.example",
        "server.port": 443,
        "url.full": "https://live.example/api/v1/sessions",
        "url.template": "/api/v1/sessions",
        "user_agent.synthetic.type": "test",
    }
    assert without_ours(found["step delete"]) == {
        "http.request.method": "DELETE",
        "http.request.resend_count": 2,
        "http.response.status_code": 204,
        "server.address": "live.example",
        "server.port": 443,
        "url.full": "https://live.example/api/v1/sessions/avaturn-1",
        "url.template": "/api/v1/sessions/{session_id}",
        "user_agent.synthetic.type": "test",
    }
    assert without_ours(found["step connect"]) == {"server.address": "live.example", "server.port": 443}


def test_a_backends_request_is_told_without_what_its_url_may_hide(tmp_path: Path) -> None:
    backend = {
        "url": "http://127.0.0.1:9/start/sk-0123456789/{user}?key=hush&trace={trace_id}",
        "method": "PUT",
        "delete": {"url": "http://127.0.0.1:9/end/{session_id}?key=hush", "method": "POST"},
    }
    found = named(exported(tmp_path, *session(1), target=TARGET | {"backend": backend}))

    full = {name: each.get("url.full") for name, each in found.items() if "http.request.method" in each}
    assert full == {
        "step create": "http://127.0.0.1:9/start/[redacted]/0?key=REDACTED&trace=REDACTED",
        "step delete": "http://127.0.0.1:9/end/avaturn-1?key=REDACTED",
    }
    assert [found[name]["http.request.method"] for name in full] == ["PUT", "POST"]


def test_a_url_that_is_not_wholly_known_is_left_out(tmp_path: Path) -> None:
    found = named(exported(tmp_path, *session(1), target=OWN))

    assert "url.full" not in found["step create"]
    assert found["step create"]["url.template"] == "/{iteration}"
    assert "http.request.method" not in found["step mint"]  # the backend mints: that request is not ours


def talked(*turns: dict[str, Any]) -> list[Event]:
    """A session with these turns."""
    events = session(1)
    at = next(n for n, event in enumerate(events) if isinstance(event, StepFinished) and event.step is Step.TURN)
    turn = events[at]
    assert isinstance(turn, StepFinished)
    said = [replace(turn, turn=n, span_id=f"{110 + n:016x}", **fields) for n, fields in enumerate(turns)]
    return [*events[:at], *said, *events[at + 1 :]]


WHOLE, INTO_IT = {"answer": AnswerEnd.WHOLE}, {"barge_in_ns": 1}
SAY, BARGE_IN, IGNORE, SILENCE = ({"turn_kind": kind} for kind in ("say", "barge_in", "ignore", "silence"))
FAILED = {"outcome": Outcome.FAILED}


@pytest.mark.parametrize(
    ("turns", "reasons"),
    [
        ([SAY | WHOLE], [["stop"]]),
        ([SAY, BARGE_IN | INTO_IT | WHOLE], [["interrupted"], ["stop"]]),
        ([SAY, BARGE_IN | INTO_IT, BARGE_IN | INTO_IT | WHOLE], [["interrupted"], ["interrupted"], ["stop"]]),
        # The barge-in came too late, or the avatar spoke on: nobody heard how the first answer ended.
        ([SAY, BARGE_IN | WHOLE | {"outcome": Outcome.CANCELLED}], [None, ["stop"]]),
        ([SAY, BARGE_IN | FAILED | {"censored": True}], [None, ["error"]]),
        ([SAY, BARGE_IN | INTO_IT | FAILED], [["interrupted"], ["error"]]),
        # A noise into an answer leaves it to be heard out, or to be interrupted.
        ([SAY, IGNORE | WHOLE], [["stop"], None]),
        ([SAY, IGNORE, BARGE_IN | INTO_IT | WHOLE], [["interrupted"], None, ["stop"]]),
        ([SAY, IGNORE | FAILED, BARGE_IN | INTO_IT | WHOLE], [None, None, ["stop"]]),
        ([SAY | WHOLE, SILENCE, SILENCE | FAILED], [["stop"], None, None]),
        ([SAY, SILENCE, BARGE_IN | INTO_IT], [None, None, None]),
        ([SAY | FAILED], [["error"]]),
        ([SAY | {"outcome": Outcome.CANCELLED}], [None]),
        ([SAY | {"answer": AnswerEnd.CUT}], [None]),
    ],
)
def test_a_turn_says_how_the_answer_to_it_ended_where_that_was_heard(
    turns: list[dict[str, Any]], reasons: list[list[str] | None], tmp_path: Path
) -> None:
    spans = exported(tmp_path, *talked(*turns))

    found = [told(span.attributes) for span in spans if span.name == "avaload.turn"]
    assert [each.get("gen_ai.response.finish_reasons") for each in found] == reasons
    answered = [each.get("gen_ai.operation.name") == "realtime_inference" for each in found]
    assert answered == [turn["turn_kind"] in ("say", "barge_in") for turn in turns]


@pytest.mark.parametrize(
    ("given", "provider", "model"),
    [
        ({}, "openai", "gpt-realtime"),
        ({"target": OWN}, None, None),
        ({"target": OWN, "cost": {"model": "gpt-mini"}}, None, "gpt-mini"),
        ({"target": OWN, "session": {"engine": "openai-realtime"}, "cost": {"model": "mini"}}, "openai", "mini"),
        ({"target": OWN, "session": {"engine": "openai-realtime"}}, "openai", None),
        ({"target": OWN, "session": {"engine": "cartesia"}}, None, None),
    ],
)
def test_a_turn_says_who_answers_it_where_that_is_known(
    given: dict[str, Any], provider: str | None, model: str | None, tmp_path: Path
) -> None:
    turn = named(exported(tmp_path, *talked(SAY), **given))["turn"]

    assert (turn.get("gen_ai.provider.name"), turn.get("gen_ai.request.model")) == (provider, model)


def test_every_name_that_is_not_ours_is_one_of_the_conventions(tmp_path: Path) -> None:
    known = {
        value
        for package in (attributes, import_module(f"{_incubating.__name__}.attributes"))
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
        for name, value in vars(import_module(module.name)).items()
        if name.isupper()
    }
    spans = exported(tmp_path, *changed(talked(SAY | FAILED), Step.DELETE, attempt=2))
    names = {pair.key for span in spans for pair in span.attributes} | set(
        resource(run_started(), version="1.2.3", started_at=None).attributes
    )

    assert {name for name in names if not name.startswith("avaload.")} - known == set()
    assert SCHEMA_URL in {schema.value for schema in Schemas}


def test_a_resource_is_one_instance_of_a_service_whoever_exports_it() -> None:
    def instance(host: str, started_at: str | None) -> object:
        found = resource(replace(run_started(), host=host), version="1.2.3", started_at=started_at)
        assert found.schema_url == SCHEMA_URL
        return found.attributes["service.instance.id"]

    runs = [("a", None), ("b", None), ("a", "2026-01-02T00:00:00.000Z"), ("a", "2026-01-02T00:01:00.000Z")]
    assert [instance(*run) for run in runs] == [instance(*run) for run in runs]
    assert len({instance(*run) for run in runs}) == len(runs)


def test_a_companys_own_names_of_a_service_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=all,deployment.environment.name=ci,avaload.run.id=no")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "avatar-load")
    found = resource(run_started(), version="1.2.3", started_at=None).attributes

    assert found["service.name"] == "avatar-load"
    assert found["deployment.environment.name"] == "ci"
    assert found["avaload.run.id"] == "run-1"
    assert found["service.version"] == "1.2.3"
