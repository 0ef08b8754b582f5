"""What OpenTelemetry's semantic conventions call what a span tells, beside avaload's own names: HTTP (stable), GenAI,
test and user agent (in development: they rename their attributes, here alone)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, assert_never
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from loadtest.config.keys.backend import PLACE
from loadtest.config.keys.scenario import ANSWERED, BARGING_IN, NOISES, Scenario
from loadtest.config.promise import engine_of
from loadtest.config.settings import Settings, Target
from loadtest.events.kinds import AnswerEnd, Outcome, Step, StepFinished
from loadtest.forecast.costing import model_of
from loadtest.secrecy.redact import redact

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.44.0"
"""Of the names that are not GenAI's, which have a repository of their own and no schema yet."""

Attributes = dict[str, str | int | float | bool | Sequence[str]]

_SYNTHETIC: Final = {"user_agent.synthetic.type": "test"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """The request that a step is. In `url`, `{user}`, `{trace_id}`, `{iteration}` and `{session_id}` are a session's;
    it holds no secret: the values of its query are left out."""

    method: str
    url: str

    def attributes(self, step: StepFinished, places: Mapping[str, str]) -> Attributes:
        """Of an HTTP client's span. `places`: those of this session; a URL of which one isn't known is left out."""
        parts = urlsplit(self.url)
        found: Attributes = {"http.request.method": self.method, "url.template": parts.path or "/", **_SYNTHETIC}
        unknown = [name for name in PLACE.findall(self.url) if name not in places]
        if not unknown:
            found["url.full"] = PLACE.sub(lambda place: quote(places[place[1]], safe=""), self.url)
        if step.attempt > 1:
            found["http.request.resend_count"] = step.attempt - 1
        return found


class Answering(NamedTuple):
    """Who answers in a scenario's rooms. None: not known."""

    provider: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a run's settings.json tells about its sessions: each step's host and request, who answers in each scenario,
    the version of avaload that it was, and when it began."""

    hosts: Mapping[Step, tuple[str, int]] = field(default_factory=dict)
    calls: Mapping[Step, HttpCall] = field(default_factory=dict)
    answering: Mapping[str, Answering] = field(default_factory=dict)
    version: str | None = None
    started_at: str | None = None


NO_FACTS: Final = Facts()


def facts(settings: Settings) -> Facts:
    """Of a run with these settings, as far as they tell."""
    calls = {step: call for step in Step if (call := _call(step, settings.target)) is not None}
    called = {step: call.url for step, call in calls.items()}
    if (avaturn := settings.target.avaturn_base_url) is not None:
        called[Step.CONNECT] = avaturn  # its first call, for the room's address; the room is where it says
    return Facts(
        hosts={step: _host(url) for step, url in called.items()},
        calls=calls,
        answering={scenario.name: _answering(settings, scenario) for scenario in settings.scenarios},
    )


def _answering(settings: Settings, scenario: Scenario) -> Answering:
    engine = engine_of(scenario, by_backend=settings.by_backend)
    return Answering("openai" if engine == "openai-realtime" else None, model_of(settings, scenario))


def _call(step: Step, target: Target) -> HttpCall | None:
    """The one that the step is; None: it is none, or several. docs/contract.md has the paths."""
    openai, avaturn, backend = target.openai_base_url, target.avaturn_base_url, target.backend
    own = None if backend is None else backend.delete
    match step:
        case Step.MINT:  # where a backend mints, no mint of ours is a step
            known = openai is not None and backend is None
            return _told("POST", f"{openai}/realtime/client_secrets") if known else None
        case Step.CREATE:
            if backend is not None:
                return _told(backend.method, backend.url)
            return None if avaturn is None else _told("POST", f"{avaturn}/api/v1/sessions")
        case Step.DELETE:
            if own is not None:
                return _told(own.method, own.url)
            return None if avaturn is None else _told("DELETE", f"{avaturn}/api/v1/sessions/{{session_id}}")
        case Step.CONNECT | Step.CONVERSE | Step.TURN:
            return None
        case _:
            assert_never(step)


def _told(method: str, url: str) -> HttpCall:
    return HttpCall(method=method, url=_without_secrets(url))


def _without_secrets(url: str) -> str:
    """What is between the host and the fragment, without a query's values and whatever else looks like a key."""
    parts = urlsplit(url)
    path = "/".join(redact(piece) if piece else "" for piece in parts.path.split("/"))
    query = urlencode([(name, "REDACTED") for name, _ in parse_qsl(parts.query, keep_blank_values=True)])
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, path, query, ""))


def _host(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def answered(*, ended: str | None, answering: Answering, conversation: str) -> Attributes:
    """Of a turn that is to be answered. Its operation is named as the conventions for live models are about to.
    `ended`: by `ends_of_answers`."""
    found: Attributes = {
        "gen_ai.operation.name": "realtime_inference",
        "gen_ai.conversation.id": conversation,
        "gen_ai.output.type": "speech",
    }
    if answering.provider is not None:
        found["gen_ai.provider.name"] = answering.provider
    if ended is not None:
        found["gen_ai.response.finish_reasons"] = (ended,)
    return found | ({} if answering.model is None else asked_for(answering.model))


def asked_for(model: str) -> Attributes:
    """Of a mint, which names the model, and a turn, which it answers."""
    return {"gen_ai.request.model": model}


def ends_of_answers(turns: Iterable[StepFinished]) -> dict[str, str]:
    """By span of the turn that asked, as heard in the room: what the model itself said of it goes to the avatar and is
    told to nobody else. An answer that nobody heard out, or that had a flaw, is left out."""
    found: dict[str, str] = {}
    asked: str | None = None
    for turn in turns:
        if asked is not None and turn.turn_kind in BARGING_IN and turn.barge_in_ns is not None:
            found[asked] = "interrupted"
        if turn.turn_kind in ANSWERED:
            asked = turn.span_id
            if turn.outcome is Outcome.FAILED:
                found[asked] = "error"
        if asked is not None and turn.answer is AnswerEnd.WHOLE:
            found[asked] = "stop"
        # A noise is made into the answer of the turn before, which goes on: its end is still to come.
        may_go_on = turn.turn_kind in ANSWERED | NOISES and turn.outcome is not Outcome.FAILED
        if turn.answer is not None or not may_go_on:
            asked = None
    return found
