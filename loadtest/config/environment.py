"""Which variables of the environment reach the processes of a run. This is the one list; README.md shows it."""

import os
from collections.abc import Iterable, Mapping
from typing import Final

INHERITED: Final = {
    "of the machine": ("PATH", "HOME", "USER", "LOGNAME", "TZ", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH"),
    "of the language": ("LANG", "LANGUAGE", "LC_*"),
    "of Python": ("PYTHONHOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE", "PYTHONPATH"),
    "certificates to trust": ("SSL_CERT_FILE", "SSL_CERT_DIR"),
    "proxies": (
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    ),
    "of the trace exporter": (
        "OTEL_RESOURCE_ATTRIBUTES",
        *("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
        *("OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION"),
        *("OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"),
    ),
    "marks by which a CI server finds what a job has left": ("BUILD_ID", "*_COOKIE", "*_MARK"),
}
"""Names, by what they are for. PYTHONPATH: only the directory that avaload itself is in (avaload.py)."""

_NAMES: Final = frozenset(name for names in INHERITED.values() for name in names if "*" not in name)
_BEGIN: Final = tuple(name.rstrip("*") for names in INHERITED.values() for name in names if name.endswith("*"))
_END: Final = tuple(name.lstrip("*") for names in INHERITED.values() for name in names if name.startswith("*"))
_OWN: Final = {"PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"}
_STEERING: Final = ("OTEL_", "LOCUST_", "GEVENT", "MPL", "SSLKEYLOGFILE")
"""Of our libraries, beginnings of names: they would change, or end, the command itself."""


def of_child(named: Iterable[str] = (), environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of a process that we start; `named`: what its settings want by name besides."""
    wanted = set(named)
    return {name: value for name, value in environ.items() if _is_inherited(name) or name in wanted} | _OWN


def forget_steering() -> None:
    """Nothing in this process's own environment steers a library past our options."""
    for name in list(os.environ):
        if name.startswith(_STEERING) and not _is_inherited(name):
            del os.environ[name]


def _is_inherited(name: str) -> bool:
    return name in _NAMES or name.startswith(_BEGIN) or name.endswith(_END)
