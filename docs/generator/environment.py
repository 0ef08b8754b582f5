"""docs/reference/environment.md: every variable of the environment that counts."""

from typing import Final

from docs.generator.markdown import code, table
from loadtest.config import pipeline
from loadtest.config.environment import BETWEEN_PROCESSES, INHERITED, NOT_USED, READ

_HEAD: Final = """\
# The environment

Generated from `environment.py` and `pipeline.py` in `loadtest/config/` by `make generated`; do not edit.

`avaload` is the same program in any directory and with any environment. Configuration files of Locust, variables
`LOCUST_…`, and modules in the working directory or in `PYTHONPATH` don't reach a run. Who starts `locust -f` himself
has them as ever.

Every [key of a scenario's sections](scenario.md) can be given as `AVALOAD_<SECTION>__<KEY>`: `AVALOAD_LOAD__USERS=50`.
Tags too: `AVALOAD_TAGS__BUILD=7`. A list has commas: `AVALOAD_PROBES__RULES=EXP-1,TD-1`. `name` and lists of tables,
such as `[[slo]]` and `[[load.stages]]`, are said by files. What looks like a setting and is none is refused. So is an
empty one.

In `[realtime]` and `[target.backend.body]` a value is JSON, or else text: `7`, `false`, `["text"]`, `marin`. A text
that looks like a number stands in quotes: `"7"`. A key that the scenario has keeps its letters, whatever they are:
`…__BODY__AVATARID` is its `avatarId`. A new one has small letters.

## What avaload reads
"""
_NOT_USED: Final = """
## What companies set for all programs, and is not used

`run`, `capacity`, `probe` and `export` say so in a line each. What else begins with `OTEL_` and reaches no run is
named in one more.
"""
_INHERITED: Final = """\

## What reaches the processes of a run

All others are left out. Also inherited: the two keys, and what a scenario names by `env:NAME`.
`PYTHONPATH` is only the directory that avaload itself is in. avaload's own calls use `--proxy` alone.
"""
_BETWEEN: Final = """\

## What the processes of a run tell each other

Nobody else sets these.
"""

_PIPELINE: Final = "Read when the run starts, into `settings.json`: an export from another pipeline changes nothing."


def page(_before: str) -> str:
    """The whole page."""
    lines = [_HEAD, *table(("variable", "meaning"), ((code(name), text) for name, text in READ.items()))]
    names = ((", ".join(map(code, each)), what) for what, each in INHERITED.items())
    lines += [_INHERITED, *table(("variables", "what for"), names)]
    lines += [_NOT_USED, *table(("variable", "instead"), ((code(n), text) for n, text in NOT_USED.items()))]
    lines += ["", "## What a run's span tells of its pipeline", "", _PIPELINE, ""]
    lines += table(("variable",), ((code(name),) for name in pipeline.VARIABLES))
    lines += [_BETWEEN, *table(("variable", "meaning"), ((code(n), text) for n, text in BETWEEN_PROCESSES.items()))]
    return "\n".join(lines) + "\n"
