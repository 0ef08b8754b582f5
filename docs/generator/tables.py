"""docs/reference/tables.md: every column of a run's tables."""

from typing import Final

from docs.generator.markdown import code, table
from reports.tidy import COLUMNS, ROWS

_HEAD: Final = """\
# Tables

Generated from `reports/tidy.py` by `make generated`; do not edit.

`loadtest.read_run(run_dir)` gives them as pandas tables.
`avaload export RUN_DIR --format parquet|csv|jsonl` writes them as files.
Times are UTC. A column that ends in `_s` is in seconds, one in `_bytes` in bytes.
What was not observed is missing, never zero."""


def page(_before: str) -> str:
    """The whole page."""
    lines = [_HEAD]
    for name, columns in COLUMNS.items():
        lines += ["", f"## {name}", "", f"A row for each {ROWS[name]}.", ""]
        rows = ((code(column), each.dtype, each.holds) for column, each in columns.items())
        lines += table(("column", "dtype", "holds"), rows)
    return "\n".join(lines) + "\n"
