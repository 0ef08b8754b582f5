"""`avaload probe`: the settings of a run that consists of active checks, and its findings as a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from loadtest import journal
from loadtest.events import RuleChecked, RuleOutcome
from loadtest.probes.catalogue import chosen

DURATION_S, GRACEFUL_S, SLOW_S = 2.0, 900.0, 5400.0
"""All checks start at once; then there is only waiting for them."""
_WORST: Final = (RuleOutcome.FAIL, RuleOutcome.CHARACTERISED, RuleOutcome.NOT_TESTED, RuleOutcome.PASS)


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


def table(run_dir: Path, report: Mapping[str, Any], rules: Sequence[str]) -> list[str]:
    """A line for each rule that was checked: its outcome, and what was seen."""
    wanted = set(rules) or {rule for probe in chosen(()) for rule in probe.rules}
    seen: dict[str, list[RuleChecked]] = {}
    for event in journal.merged(journal.read_run(run_dir)):
        if isinstance(event, RuleChecked):
            seen.setdefault(event.rule, []).append(event)
    rows = [row for row in report["rules"] if row["id"] in wanted]
    lines = [f"{'rule':<8}{'outcome':<15}what was seen"]
    for row in rows:
        checks = sorted(seen.get(row["id"], []), key=lambda check: _WORST.index(RuleOutcome(check.outcome)))
        worst = [check for check in checks if check.outcome == checks[0].outcome]
        told = "; ".join(dict.fromkeys(check.detail for check in worst)) or row["summary"]
        mark = "  BROKEN: " if row["violations"] else "  "
        lines.append(f"{row['id']:<8}{row['outcome']:<13}{mark}{told}")
    return lines
