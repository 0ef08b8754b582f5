"""Where boards and alerts lead to. `python -m dashboards.generate` writes them for other places."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """URLs without a slash at their end; the defaults are those of compose.yaml.

    `grafana`: that has the boards, the runbook's too. `reports`: under it lies each run's directory by its id.
    `runbook`: a page with RUNBOOK.md's headings instead of that board.
    """

    grafana: str = "http://127.0.0.1:3000"
    reports: str = "http://127.0.0.1:8090"
    runbook: str | None = None

    def of_alert(self, name: str, number: int) -> str:
        """What to do about an alert. `number`: its place among the alerts, from 1, which is that of its panel."""
        page = self.runbook or f"{self.grafana}/d/{RUNBOOK_UID}?viewPanel={number}"
        return f"{page}#{name.lower()}"


RUNBOOK_UID = "avaload-runbook"
"""The board's id in Grafana."""
