"""`[output]`: where a run is written and who may watch."""

import re
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_core.core_schema import ValidationInfo

from loadtest.config.keys.scenario import DurationS, Section
from loadtest.config.sendable import blank_in, flaw_of_url, host_name
from loadtest.journal import run_of

_PLACEHOLDERS: Final = {
    "trace_url": ("trace_id", "run_id", "from", "to"),
    "grafana_url": ("run_id", "from", "to"),
}
"""What a template of a link may hold; `from` and `to` are unix ms."""


class Output(Section):
    """Where the run is written and who may watch."""

    run_dir: Path | None = Field(None, description="the run's directory (default runs/<utc time>-<name>)")
    permissions: Literal["private", "umask"] = Field(
        "private", description="who may read the run's directory and files: its owner alone, or whom the umask allows"
    )
    metrics_port: int | Literal["off"] = Field(9646, description="port of the Prometheus exposition, or off")
    metrics_host: str = Field("127.0.0.1", description="address of the Prometheus exposition")
    metrics_linger: DurationS | None = Field(
        None,
        description="serve metrics so long after the run (default, if scraped: two scrape intervals, 10 s at least;"
        " 70 s where Prometheus came once)",
    )
    metrics_cert: Path | None = Field(None, description="certificate (PEM): /metrics speaks TLS")
    metrics_key: Path | None = Field(None, description="the certificate's key (PEM)")
    metrics_user: str | None = Field(
        None,
        pattern=r"^[!-9;-~]+$",
        description="who scrapes has to log in by this name, with the password $AVALOAD_METRICS_PASSWORD",
    )
    otlp_endpoint: str | None = Field(None, description="export traces to it (OTLP/HTTP)")
    otlp_metrics: str | None = Field(None, description="push metrics to it each 10 s (OTLP/HTTP)")
    trace_share: float = Field(
        1.0, ge=0, le=1, description="share of good sessions that are exported; failed ones always are"
    )
    trace_url: str | None = Field(
        None,
        description="report.html links each session to its trace by this template: {trace_id}, {run_id}, {from}, {to}",
    )
    grafana_url: str | None = Field(
        None, description="report.html links to the run's board by this template: {run_id}, {from}, {to}"
    )
    keep_audio: Literal["failed", "none"] = Field(
        "none", description="keep both tracks of failed turns as WAV files in the run's directory"
    )
    keep_transcripts: bool = Field(
        False,
        description="keep the first 2,048 characters of each transcript in the journal; without it only their length",
    )
    web_port: int | None = Field(
        None, ge=0, le=65535, description="port of Locust's live UI with the Sessions tab; 0: any free one"
    )
    served_as: tuple[str, ...] = Field(
        (), description="names by which the live UI and the metrics are asked for, besides this machine's own"
    )
    baseline: Path | None = Field(
        None, description="directory of an earlier run: say what changed since; a regression is exit 3"
    )

    @field_validator("baseline")
    @classmethod
    def _is_run(cls, path: Path | None) -> Path | None:
        return None if path is None else run_of(path)

    @field_validator("served_as", mode="before")
    @classmethod
    def _are_names(cls, given: Any) -> Any:
        listed = [given] if isinstance(given, str) else given
        if not isinstance(listed, list | tuple):
            return given
        names = [name for each in listed for name in (each.split(",") if isinstance(each, str) else [each])]
        return [host_name(name) if isinstance(name, str) else name for name in names]

    @field_validator("metrics_port", mode="before")
    @classmethod
    def _is_port(cls, port: Any) -> int | str:
        if port == "off":
            return "off"
        if not str(port).isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"{port} is not a port (or off)")
        return int(port)

    @field_validator("otlp_endpoint", "otlp_metrics")
    @classmethod
    def _is_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if flaw := flaw_of_url(url):
            raise ValueError(flaw)
        if urlsplit(url).query or urlsplit(url).fragment:
            raise ValueError("must be like http://127.0.0.1:4318, without user, query or fragment")
        return url

    @field_validator("trace_url", "grafana_url")
    @classmethod
    def _is_template(cls, template: str | None, info: ValidationInfo) -> str | None:
        if template is None:
            return None
        known = _PLACEHOLDERS[str(info.field_name)]
        listed = ", ".join(f"{{{name}}}" for name in known)
        holes = re.findall(r"\{([^{}]*)\}", template)
        if wrong := next((name for name in holes if name not in known), None):
            raise ValueError(f"{{{wrong}}} is no placeholder here; there are {listed}")
        if "trace_id" in known and "trace_id" not in holes:
            raise ValueError("lacks {trace_id}: every session would have the same link")
        filled = re.sub(r"\{[^{}]*\}", "0", template)
        if "{" in filled or "}" in filled or "" in holes:
            raise ValueError(f"a brace stands alone; placeholders are {listed}, other braces are %7B and %7D")
        if flaw := blank_in(filled):
            raise ValueError(flaw)
        try:
            parts = urlsplit(filled)
            _ = parts.port
        except ValueError as error:
            raise ValueError("is no URL: its host or port is wrong") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with http:// or https:// and a host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("must not hold a user or a password: everybody who has the page can read it")
        if "{" in template.partition("://")[2].partition("/")[0]:
            raise ValueError("a placeholder can't stand in the host")
        return template
