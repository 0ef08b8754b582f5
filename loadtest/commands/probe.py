"""`avaload probe`: the settings of a run that consists of active checks, and its findings as a table."""

from collections.abc import Mapping, Sequence
from typing import Any

from loadtest.probes.catalogue import chosen
from reports.verdict.rules import seen

DURATION_S, GRACEFUL_S, SLOW_S = 2.0, 900.0, 5400.0
"""All checks start at once; then there is only waiting for them."""


def options(rules: Sequence[str], *, slow: bool) -> dict[str, Any]:
    """Settings, by dotted name, of a run of these checks (none: all). Raises ConfigError for a rule without one."""
    return {
        "name": "probe",
        "load.users": len(chosen(rules)),
        "load.ramp": 0.0,
        "load.duration": DURATION_S,
        "load.graceful_stop": SLOW_S if slow else GRACEFUL_S,
        "probes.share": 1.0,
        "probes.rules": list(rules),
        "probes.slow": slow,
        "probes.once": True,
    }


def table(report: Mapping[str, Any], rules: Sequence[str]) -> list[str]:
    """A line for each rule that was checked: its outcome, and what was seen."""
    wanted = set(rules) or {rule for probe in chosen(()) for rule in probe.rules}
    lines = [f"{'rule':<8}{'outcome':<15}what was seen"]
    for row in report["rules"]:
        if row["id"] in wanted:
            mark = "  BROKEN: " if row["violations"] else "  "
            lines.append(f"{row['id']:<8}{row['outcome']:<13}{mark}{seen(row)}")
    return lines
