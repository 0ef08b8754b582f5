"""Which variables of the environment count, and which reach the processes of a run (docs/reference/environment.md)."""

import os
from collections.abc import Iterable, Mapping
from typing import Final

PROXIES: Final = "proxies"
COLLECTORS: Final = "of what is sent to a collector"
INHERITED: Final = {
    "of the machine": ("PATH", "HOME", "USER", "LOGNAME", "TZ", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH"),
    "of the language": ("LANG", "LANGUAGE", "LC_*"),
    "of Python": ("PYTHONHOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE", "PYTHONPATH"),
    "certificates to trust": ("SSL_CERT_FILE", "SSL_CERT_DIR"),
    PROXIES: (
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    ),
    COLLECTORS: (
        *("OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"),
        *(
            f"OTEL_EXPORTER_OTLP_{signal}{what}"
            for what in ("HEADERS", "COMPRESSION", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY")
            for signal in ("", "TRACES_", "METRICS_")
        ),
    ),
    "marks by which a CI server finds what a job has left": (
        "BUILD_ID",
        "JENKINS_NODE_COOKIE",
        "JENKINS_SERVER_COOKIE",
        "HUDSON_COOKIE",
        "*_MARK",
    ),
}
"""Names, by what they are for. PYTHONPATH: only the directory that avaload itself is in (avaload.py)."""

PREFIX: Final = "AVALOAD_"
"""Of all variables of ours: settings are PREFIX, section, two underscores, key."""
METRICS_PASSWORD: Final = "AVALOAD_METRICS_PASSWORD"
CLUSTER_TOKEN: Final = "AVALOAD_CLUSTER_TOKEN"
READ: Final = {
    "OPENAI_API_KEY": "Key of the OpenAI project that mints.",
    "AVATURN_API_KEY": "Key of the Avaturn project that creates and deletes.",
    METRICS_PASSWORD: "Password of --metrics-user.",
    CLUSTER_TOKEN: "By which master and workers, and the processes of one run, know each other.",
    "AVALOAD_TARGET__LIVE": "`true` says `--live`, to `sweep` and `export` as well.",
    "SSL_CERT_FILE": "Authorities to trust, where --ca-file names none.",
    "GITHUB_ACTIONS": "`true`: a job on GitHub, which gets annotations.",
    "GITHUB_STEP_SUMMARY": "The file of its step's summary.",
    "COLUMNS": "How wide the terminal is, where it isn't as it says; below 20: 80.",
    "TERM": "`dumb` or `unknown`: no table that changes in place, and no colours.",
    "NO_COLOR": "Not empty: no colours.",
}
"""What avaload itself reads, besides settings and what a scenario names by `env:NAME`."""
RUN_DIR: Final = "AVALOAD_RUN_DIR"
OWNER: Final = "AVALOAD_OWNER"
SALT: Final = "AVALOAD_SALT"
HIDDEN: Final = "AVALOAD_HIDDEN"
PROCESS: Final = "AVALOAD_PROCESS"
PROGRESS_FD: Final = "AVALOAD_PROGRESS_FD"
METRICS_FD: Final = "AVALOAD_METRICS_FD"
LIFELINE_FD: Final = "AVALOAD_LIFELINE_FD"
TOLD_FD: Final = "AVALOAD_TOLD_FD"
BETWEEN_PROCESSES: Final = {
    RUN_DIR: "The run's directory.",
    OWNER: "`stdin`: the end of its standard input ends the process.",
    HIDDEN: "Header and body values of [target.backend], for who sends them, and for the report that looks for them.",
    SALT: "Of the hashes in the run's journals.",
    TOLD_FD: "Where `run` tells the Python function that started it which directory it writes.",
    PROCESS: "Number of a worker's load process.",
    PROGRESS_FD: "Where progress is told.",
    METRICS_FD: "The listening socket of /metrics.",
    LIFELINE_FD: "A pipe that closes when the last process of the run is gone.",
}
"""What the processes of a run tell each other. Nobody else sets them."""

_NAMES: Final = frozenset(name for names in INHERITED.values() for name in names if "*" not in name)
_BEGIN: Final = tuple(name.rstrip("*") for names in INHERITED.values() for name in names if name.endswith("*"))
_END: Final = tuple(name.lstrip("*") for names in INHERITED.values() for name in names if name.startswith("*"))
_OWN: Final = {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"}
_STEERING: Final = ("OTEL_", "LOCUST_", "GEVENT", "MPL", "MATPLOTLIBRC", "SSLKEYLOGFILE")
"""Of our libraries, beginnings of names: they would change, or end, the command itself."""

_COLLECTORS: Final = "collectors are named by --otlp-endpoint and --otlp-metrics"
NOT_USED: Final = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": _COLLECTORS,
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "the collector of spans is named by --otlp-endpoint",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "the collector of metrics is named by --otlp-metrics",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "spans and metrics go over HTTP, as protobuf",
    "OTEL_SDK_DISABLED": "nothing is sent without --otlp-endpoint or --otlp-metrics",
    "OTEL_TRACES_SAMPLER": "which sessions are sent is said by --trace-share",
}
"""Variables that companies set for all programs, and what counts here instead: who may be contacted is said to avaload
itself."""


def of_child(
    named: Iterable[str] = (), environ: Mapping[str, str] = os.environ, *, without: Iterable[str] = ()
) -> dict[str, str]:
    """The environment of a process that we start; `named`: what its settings want by name besides; `without`: sorts of
    INHERITED that it has no use for, since they may hold passwords."""
    wanted, useless = set(named), {name for sort in without for name in INHERITED[sort]}
    inherited = {name: value for name, value in environ.items() if _is_inherited(name) and name not in useless}
    return inherited | {name: value for name, value in environ.items() if name in wanted} | _OWN


def of_senders(keys: Mapping[str, str], hidden: str | None) -> dict[str, str]:
    """What the processes that send secrets get besides, and the one that looks for them in a run's files. `hidden`:
    what settings.json doesn't tell of the run's endpoint."""
    return {**keys} if hidden is None else {**keys, HIDDEN: hidden}


def forget_steering() -> list[str]:
    """Nothing in this process's own environment steers a library past our options. What somebody may have counted on:
    a sentence each, and one for all others that companies set for OpenTelemetry."""
    forgotten = [name for name in os.environ if name.startswith(_STEERING) and not _is_inherited(name)]
    for name in forgotten:
        del os.environ[name]
    others = [name for name in forgotten if name.startswith("OTEL_") and name not in NOT_USED]
    said = [f"{name} is not used: {NOT_USED[name]}" for name in forgotten if name in NOT_USED]
    return [*said, f"not used: {', '.join(others)}"] if others else said


def _is_inherited(name: str) -> bool:
    return name in _NAMES or name.startswith(_BEGIN) or name.endswith(_END)
