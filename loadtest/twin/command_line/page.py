"""The generated tables of TWIN.md: `python -m loadtest.twin.command_line.page`; with `--write FILE`, into that file."""

import argparse
import dataclasses
import inspect
from collections.abc import Iterable
from pathlib import Path

from loadtest.twin.command_line.points import FIELDS, KNOBS
from loadtest.twin.knobs.avaturn import AvaturnKnobs
from loadtest.twin.knobs.openai import OpenAIKnobs
from loadtest.twin.knobs.profiles import Profile
from loadtest.twin.knobs.values import Fixed
from loadtest.twin.mutants import MUTANTS

_GROUPS = {
    "Latencies": """\
`fixed:S`, `uniform:FROM,TO` or `lognormal:MU,SIGMA`, in seconds of real time. A point without one takes no time.""",
    "Faults": """\
`NAME:SHARE[,NAME:SHARE…]`: what befalls which share (0 to 1) of the cases. NAME is an HTTP status, a code of OpenAI or
a close code, as the point goes; a wrong one is refused with the list of the right ones.""",
    "Avaturn": "What nobody outside knows about Avaturn, each with the twin's choice as default.",
    "OpenAI": "The same for OpenAI.",
    "Both services": "What is said, how much is served, and how the twin itself runs.",
}


def mutants() -> str:
    """A row for each mutant."""
    rows = (f"| `{name}` | {_first_line(mutant)} |" for name, mutant in MUTANTS.items())
    return "\n".join(["| `mutant=` | how it is wrong |", "|---|---|", *rows])


def knobs() -> str:
    """A table for each group of knobs, but `mutant`."""
    of_avaturn, of_openai = (
        {each.metadata["knob"].key for each in dataclasses.fields(part)} for part in (AvaturnKnobs, OpenAIKnobs)
    )
    groups: dict[str, list[str]] = {title: [] for title in _GROUPS}
    for key in KNOBS:
        if key in of_avaturn:
            groups["Avaturn"].append(key)
        elif key in of_openai:
            groups["OpenAI"].append(key)
        elif key != "mutant":
            groups[{"latency": "Latencies", "fault": "Faults"}.get(key.partition(".")[0], "Both services")].append(key)
    return "\n\n".join(f"### {title}\n\n{_GROUPS[title]}\n\n{_table(keys)}" for title, keys in groups.items())


def written(page: str) -> str:
    """The page with its generated parts made anew: what stands between `<!-- NAME -->` and `<!-- /NAME -->`."""
    for name, table in (("mutants", mutants()), ("knobs", knobs())):
        before, begin, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"\n<!-- /{name} -->")
        if not (begin and end):
            raise ValueError(f"the page has no place for the table of {name}")
        page = before + begin + table + end + after
    return page


def _first_line(part: type) -> str:
    return _cell(inspect.cleandoc(part.__doc__ or "").partition("\n")[0])


def _table(keys: Iterable[str]) -> str:
    knobs = [KNOBS[key] for key in keys]
    if len({knob.form for knob in knobs}) == 1:
        rows = [f"| `{knob.key}` | {_cell(knob.help)} |" for knob in knobs]
        return "\n".join(["| `--set` | what it is |", "|---|---|", *rows])
    rows = [f"| `{k.key}` | `{_cell(k.form)}` | {_default(k.key)} | {_cell(k.help)} |" for k in knobs]
    return "\n".join(["| `--set` | = | default | what it is |", "|---|---|---|---|", *rows])


def _default(key: str) -> str:
    value = getattr(Profile(), FIELDS[key]) if key in FIELDS else None
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"fixed:{value.seconds:g}" if isinstance(value, Fixed) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.twin.command_line.page", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this page")
    page: Path | None = parser.parse_args().write
    if page is None:
        print(f"{mutants()}\n\n{knobs()}")
    else:
        page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
