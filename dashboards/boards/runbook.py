"""RUNBOOK.md as a board, a panel for each alert: who is woken finds it where the alert came from."""

import re
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import dashboard, text
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.text import TextMode

from dashboards.alerting.alerts import ALERTS
from dashboards.panels import TAG
from dashboards.places import RUNBOOK_UID

RUNBOOK: Final = Path(__file__).parents[2] / "RUNBOOK.md"


def build() -> model.Dashboard:
    """Panel N is that of the Nth alert. Raises KeyError for an alert without a section."""
    built = (
        dashboard.Dashboard("avaload / Runbook")
        .uid(RUNBOOK_UID)
        .description("What each alert means, how to check it, what to do.")
        .tags([TAG])
        .readonly()
        .timezone("browser")
    )
    sections = _sections(RUNBOOK.read_text(encoding="utf-8"))
    for number, alert in enumerate(ALERTS, start=1):
        panel = text.Panel().id(number).title(alert.name).description(alert.description)
        built.with_panel(panel.mode(TextMode.MARKDOWN).content(sections[alert.name]).span(12).height(10))
    return built.build()


def _sections(markdown: str) -> dict[str, str]:
    """Alert → its text; links between alerts lead from panel to panel."""
    numbers = {alert.name.lower(): number for number, alert in enumerate(ALERTS, start=1)}
    led = re.sub(
        r"\]\(#(\w+)\)", lambda found: f"](/d/{RUNBOOK_UID}?viewPanel={numbers[found[1]]})", markdown
    )  # fmt: skip
    return {
        name: body.strip() for name, body in re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", led, re.DOTALL | re.MULTILINE)
    }
