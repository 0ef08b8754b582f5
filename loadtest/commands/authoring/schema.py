"""`avaload schema`: prints the JSON schema of a scenario file, by which editors complete and check it."""

import argparse
import json
from typing import Final

from loadtest.commands.printing import say
from loadtest.config.written.schema import FILE, schema
from loadtest.errors.exit_codes import Exit

EXAMPLE: Final = f"avaload schema > {FILE}"


def add_options(parser: argparse.ArgumentParser) -> None:
    """None: there is one schema."""


def main(_arguments: argparse.Namespace) -> Exit:
    """Prints it."""
    say(text())
    return Exit.PASS


def text() -> str:
    """As a file holds it, without the last line feed."""
    return json.dumps(schema(), indent=2, ensure_ascii=False)
