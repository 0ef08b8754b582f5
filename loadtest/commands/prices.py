"""`avaload prices`: the price table in force, each row with its day and source."""

import argparse
from typing import Final

from loadtest.commands import options
from loadtest.commands.printing import say_json, say_lines
from loadtest.errors.exit_codes import Exit
from loadtest.prices import table

EXAMPLE: Final = "avaload prices --prices our-contract.toml"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Whose prices."""
    options.add_prices(parser)
    parser.add_argument("--json", action="store_true", help="print the table as JSON")


def main(arguments: argparse.Namespace) -> Exit:
    """Prints it."""
    own = table.read(arguments.prices) if arguments.prices is not None else {}
    found = table.prices(own)
    if arguments.json:
        say_json(found.model_dump(mode="json"))
    else:
        say_lines(lines(found))
    return Exit.PASS


def lines(found: table.Prices) -> list[str]:
    """For people, in USD."""
    heads = f"{'in':>8}{'cached':>8}{'out':>8}"
    said = [f"{'USD per million tokens':<26}{'audio':>16}{'text':>24}", f"{'':<26}{heads}{heads}   as of"]
    for name, model in found.models.items():
        rates = "".join(f"{value:>8.2f}" for side in (model.audio, model.text) for value in side.model_dump().values())
        said.append(f"{name:<26}{rates}   {_origin(model.as_of, model.source)}")
    said += ["", "USD per minute"]
    for name, each in found.transcription.items():
        said.append(f"{name:<26}{each.per_minute:>8.4f}{'':<40}   {_origin(each.as_of, each.source)}")
    minute = found.avatar.per_minute
    shown = "unknown" if minute is None else f"{minute:.4f}"
    said.append(f"{'avatar':<26}{shown:>8}{'':<40}   {_origin(found.avatar.as_of, found.avatar.source)}")
    host = found.host
    said += ["", "USD per hour"]
    said.append(
        f"{f'host of {host.cores} cores':<26}{host.per_hour:>8.2f}{'':<40}   {_origin(host.as_of, host.source)}"
    )
    return said


def _origin(as_of: object, source: str) -> str:
    return f"{as_of or 'no date'}, {source}"
