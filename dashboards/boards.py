"""All boards. Metrics come from `exporters.metrics.catalogue`; the panels of each are in the `*_board(s).py` beside."""

import json
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards import runbook_board
from dashboards.conversation_board import CONVERSATION
from dashboards.overview_board import OVERVIEW
from dashboards.panels import build
from dashboards.places import Places
from dashboards.run_boards import HARNESS_HEALTH, RELEASE
from dashboards.session_boards import SESSIONS_AND_STEPS
from dashboards.teardown_board import SECRETS_AND_TEARDOWN

BOARDS: Final = (OVERVIEW, SESSIONS_AND_STEPS, CONVERSATION, SECRETS_AND_TEARDOWN, HARNESS_HEALTH, RELEASE)
"""Those with panels of metrics."""


def texts(places: Places) -> dict[str, str]:
    """File's name → its text."""
    return {
        **{f"{board.name}.json": _text(build(board, places)) for board in BOARDS},
        "runbook.json": _text(runbook_board.build()),
    }


def _text(board: Dashboard) -> str:
    """The board as Grafana imports it."""
    return json.dumps(board, cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
