"""The boards, generated: `python -m dashboards.boards` writes `generated/*.json`.

Metrics come from `exporters.metrics.catalogue`; the panels of each board are in the `*_board(s).py` beside.
"""

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.conversation_board import CONVERSATION
from dashboards.overview_board import OVERVIEW
from dashboards.panels import Board, build
from dashboards.run_boards import HARNESS_HEALTH, RELEASE
from dashboards.session_boards import SESSIONS_AND_STEPS
from dashboards.teardown_board import SECRETS_AND_TEARDOWN

GENERATED: Final = Path(__file__).parent / "generated"

BOARDS: Final = (OVERVIEW, SESSIONS_AND_STEPS, CONVERSATION, SECRETS_AND_TEARDOWN, HARNESS_HEALTH, RELEASE)


def generated() -> dict[Path, str]:
    """File → its text."""
    return {GENERATED / f"{board.name}.json": text(board) for board in BOARDS}


def text(board: Board) -> str:
    """The board as Grafana imports it."""
    return json.dumps(build(board), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    GENERATED.mkdir(exist_ok=True)
    for path, content in generated().items():
        path.write_text(content, encoding="utf-8")
