"""All boards. Metrics come from `exporters.metrics.catalogue`; the panels of each are beside."""

import json
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.boards import runbook
from dashboards.boards.conversation import CONVERSATION
from dashboards.boards.overview import OVERVIEW
from dashboards.boards.runs import HARNESS_HEALTH, RELEASE
from dashboards.boards.sessions import SESSIONS_AND_STEPS
from dashboards.boards.teardown import SECRETS_AND_TEARDOWN
from dashboards.panels import build
from dashboards.places import Places

BOARDS: Final = (OVERVIEW, SESSIONS_AND_STEPS, CONVERSATION, SECRETS_AND_TEARDOWN, HARNESS_HEALTH, RELEASE)
"""Those with panels of metrics."""


def texts(places: Places) -> dict[str, str]:
    """File's name → its text."""
    return {
        **{f"{board.name}.json": _text(build(board, places)) for board in BOARDS},
        "runbook.json": _text(runbook.build()),
    }


def _text(board: Dashboard) -> str:
    """The board as Grafana imports it."""
    return json.dumps(board, cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
