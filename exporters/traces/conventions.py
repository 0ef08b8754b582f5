"""What OpenTelemetry's semantic conventions call what a span tells, beside avaload's own names: HTTP (stable), GenAI,
test and user agent (in development: they rename their attributes, here alone)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from loadtest.config.backend import PLACE
from loadtest.config.settings import Settings, Target
from loadtest.language.events import Outcome, Step, StepFinished
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a run's settings tell about its sessions: each step's host and request, the model of each scenario, and the
    version of avaload that it was."""

    hosts: Mapping[Step, tuple[str, int]] = field(default_factory=dict)
    calls: Mapping[Step, HttpCall] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    version: str | None = None


NO_FACTS: Final = Facts()


def facts(settings: Settings, *, version: str | None = None) -> Facts:
    """Of a run with these settings."""
    calls = {step: call for step in Step if (call := _call(step, settings.target)) is not None}
    called = {step: call.url for step, call in calls.items()}
    if (avaturn := settings.target.avaturn_base_url) is not None:
        called[Step.CONNECT] = avaturn  # its first call, for the room's address; the room is where it says
    models = {scenario.name: str(scenario.realtime.get("model", "")) for scenario in settings.scenarios}
    return Facts(
        hosts={step: _host(url) for step, url in called.items()},
        calls=calls,
        models={name: model for name, model in models.items() if model},
        version=version,
    )


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


def answered(step: StepFinished, *, model: str | None, conversation: str) -> Attributes:
    """Of a turn, which a model answered. Its operation is named as the conventions for live models are about to."""
    found: Attributes = {
        "gen_ai.operation.name": "realtime_inference",
        "gen_ai.provider.name": "openai",
        "gen_ai.conversation.id": conversation,
        "gen_ai.output.type": "speech",
    }
    if (reason := _finish_reason(step)) is not None:
        found["gen_ai.response.finish_reasons"] = (reason,)
    return found | ({} if model is None else asked_for(model))


def asked_for(model: str) -> Attributes:
    """Of a mint, which names the model, and a turn, which it answers."""
    return {"gen_ai.request.model": model}


def _finish_reason(step: StepFinished) -> str | None:
    """As heard in the room: what the model itself said of it goes to the avatar and is told to nobody else. None where
    the answer was not heard out."""
    if step.outcome is Outcome.FAILED:
        return "error"
    if step.outcome is not Outcome.OK or step.censored:
        return None
    return "interrupted" if step.barge_in_ns is not None else "stop"
