"""docs/reference/report.md: every key of report.json."""

from typing import Final

from docs.generator.markdown import code, table
from reports.report_keys import QUANTILES, SECTIONS

_HEAD: Final = """\
# report.json

Generated from `reports/report_keys.py` by `make generated`; do not edit.

`NAME[]` is each entry of a list, `<…>` a key that the run decides. What was not observed is null, never 0.
`{q}` is each of """


def page(_before: str) -> str:
    """The whole page."""
    lines = [f"{_HEAD}{', '.join(map(code, QUANTILES))}: quantiles in seconds."]
    for prefix, (title, keys) in SECTIONS.items():
        lines += ["", f"## {title}", ""]
        name = prefix.rstrip(".")
        inside = {"": "", "files.": "", "failures[].": ""}.get(prefix, f"All of `{name}`:")
        lines += [inside, ""] if inside else []
        lines += table(("key", "meaning"), ((code(key), text) for key, text in keys.items()))
    return "\n".join(lines) + "\n"
