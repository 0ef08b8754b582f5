"""The live guard: an endpoint that is not on this machine's loopback is refused before anything is started, unless the
operator said `--live`, bounded the number of sessions, and both keys are set.
"""

import os
from collections.abc import Iterable, Mapping

from loadtest.config.environment import CLUSTER_TOKEN, METRICS_PASSWORD
from loadtest.config.keys.backend import BackendTarget
from loadtest.config.sendable import flaw_of_key, flaw_of_value
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.secrecy.redact import collector_headers, credentials, know
from loadtest.secrecy.spellings import letters
from loadtest.text.validation import is_loopback as is_loopback

LIVE_OPENAI = "https://api.openai.com/v1"
LIVE_AVATURN = "https://api.avaturn.live"
KEYS = ("OPENAI_API_KEY", "AVATURN_API_KEY")
_SIGNALS = {"spans": "TRACES", "metrics": "METRICS"}


def endpoints_of(settings: Settings) -> list[str]:
    """Every URL that a run calls by itself; rooms are where the target says."""
    target = settings.target
    found = [url for url in (target.openai_base_url, target.avaturn_base_url, target.proxy) if url]
    return found if target.backend is None else [*found, *target.backend.endpoints]


def guard(settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
    """Raises ConfigError unless everything that could be reached was allowed by the operator."""
    target, endpoints = settings.target, endpoints_of(settings)
    know_secrets(settings, environ)
    remote = [url for url in endpoints if not is_loopback(url)]
    problems = []
    if remote and not target.live:
        problems.append(f"{', '.join(remote)}: not on this machine; a run against it needs --live and --max-sessions N")
    output = settings.output
    collectors = (("otlp_endpoint", output.otlp_endpoint, "spans"), ("otlp_metrics", output.otlp_metrics, "metrics"))
    for key, url, what in collectors:
        if url is not None and not is_loopback(url) and not target.live:
            problems.append(f"output.{key}: {url}: not on this machine; {what} go there only with --live")
        if url is not None and (flaw := flaw_of_compression(what, environ)):
            problems.append(flaw)
    if target.room == "daily" and not target.live and endpoints:
        problems.append("target.room: daily: the library looks a room up at Daily; that needs --live")
    if target.live and target.max_sessions is None:
        problems.append("--live needs --max-sessions N: how many sessions may be created in total")
    if endpoints:
        problems += [f"{key} is not set in the environment" for key in variables_of(settings) if not environ.get(key)]
        problems += flaws(target.backend.variables if target.backend is not None else (), environ)
    if problems:
        raise ConfigError(problems)


def flaw_of_compression(what: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """What is wrong with how spans or metrics are to be packed for a collector: else they would go there unpacked."""
    for name in (f"OTEL_EXPORTER_OTLP_{_SIGNALS[what]}_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"):
        if value := environ.get(name):
            is_known = value.strip().lower() in ("none", "gzip", "deflate")
            return None if is_known else f"{name}: must be none, gzip or deflate"
    return None


def variables_of(settings: Settings) -> tuple[str, ...]:
    """Names of what a run of these settings sends and takes from the environment."""
    backend = settings.target.backend
    return KEYS if backend is None else (*backend.variables, *(() if backend.delete is not None else KEYS[1:]))


def secrets_sent(settings: Settings, environ: Mapping[str, str], *, openly: str) -> set[str]:
    """What a run of these settings has sent or asked for, as far as it is known here, and no file of it may tell.
    `openly`: the text of its settings.json; what the scenario itself sends and that tells anyway is no secret."""
    backend, output = settings.target.backend, settings.output
    names = (*KEYS, *(backend.variables if backend is not None else ()), METRICS_PASSWORD, CLUSTER_TOKEN)
    named = [(name, environ.get(name, "")) for name in names]
    if output.otlp_endpoint is not None or output.otlp_metrics is not None:
        named += collector_headers(environ)
    told = letters(openly)
    literals = credentials(backend.literals if backend is not None else ())
    return credentials(named) | {value for value in literals if letters(value) not in told}


def know_secrets(settings: Settings, environ: Mapping[str, str] = os.environ) -> None:
    """Tell the redactor of this process what a run of these settings sends and nobody may read."""
    for name in KEYS:
        know(environ.get(name, ""), name=name)
    if settings.target.backend is not None:
        know_backend(settings.target.backend, environ)


def know_backend(backend: BackendTarget, environ: Mapping[str, str] = os.environ) -> None:
    """Likewise what is sent to an integrator's own endpoint."""
    for name in backend.variables:
        know(environ.get(name, ""), name=name)
    for name, value in backend.literals:
        know(value, name=name)


def flaws(variables: Iterable[str], environ: Mapping[str, str] = os.environ) -> list[str]:
    """What is wrong with keys that are set, and with `variables` that header values come from, by their names."""
    found = {key: flaw_of_key(environ.get(key, "")) for key in KEYS}
    found |= {name: flaw_of_value(environ.get(name, "")) for name in variables if name not in KEYS}
    return [f"{name}: {flaw}" for name, flaw in found.items() if flaw is not None]
