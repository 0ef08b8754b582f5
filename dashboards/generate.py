"""Writes the boards and the rules into a folder: `python -m dashboards.generate --grafana-url https://grafana.example`."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from dashboards.alerting import rules
from dashboards.boards import all as boards
from dashboards.places import Places

GENERATED: Final = Path(__file__).parent / "generated"
_PLACES: Final = {
    "--grafana-url": "the Grafana that has the boards, and the runbook as one of them",
    "--reports-url": "where runs are found: URL/RUN_ID/report.html",
    "--runbook-url": "a page with the headings of RUNBOOK.md, instead of the board",
}


def texts(places: Places) -> dict[str, str]:
    """File's name → its text."""
    return boards.texts(places) | rules.texts(places)


def tell_kustomization(grafana: str) -> None:
    """`kubectl apply -k` puts its own Grafana into the rules: the same one. Raises OSError."""
    path = GENERATED.parent / "kustomization.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(re.sub(r"(- grafana=).*", lambda found: found[1] + grafana, text), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Write them; 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m dashboards.generate", description="Write the boards and the rules."
    )
    parser.add_argument("--out", type=Path, default=GENERATED, metavar="DIR", help="default: those of this package")
    default = Places()
    for option, help_text in _PLACES.items():
        name = option.removeprefix("--").removesuffix("-url")
        known = getattr(default, name)
        parser.add_argument(
            option,
            dest=name,
            type=_url,
            default=known,
            metavar="URL",
            help=help_text + (f"; default {known}" * bool(known)),
        )
    options = parser.parse_args(argv)
    places = Places(grafana=options.grafana, reports=options.reports, runbook=options.runbook)
    is_own = options.out.resolve() == GENERATED.resolve()
    if is_own and places.runbook is not None:
        parser.error(
            "--runbook-url: only with --out: `kubectl apply -k dashboards` leads the alerts of this folder to a board"
        )
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, text in texts(places).items():
            (options.out / name).write_text(text, encoding="utf-8")
        if is_own and places.grafana != default.grafana:
            tell_kustomization(places.grafana)
    except OSError as error:
        parser.error(f"--out: {error.filename or options.out}: {error.strerror}")
    return 0


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"{text!r}: must be like https://grafana.example, without query or fragment")
    return text.rstrip("/")


if __name__ == "__main__":
    sys.exit(main())
