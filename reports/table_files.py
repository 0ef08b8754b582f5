"""A run's tables as files for other tools: a file for each table of `reports.tidy`, in Parquet, CSV or JSON Lines.

Texts are as in every page: what can't be shown is U+FFFD. What was not observed is null, in CSV an empty cell. Times
are RFC 3339 with microseconds in CSV and JSON Lines, nanoseconds in Parquet; durations are seconds.
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final

import pandas as pd

from loadtest.errors.exceptions import ConfigError
from loadtest.system import disk
from loadtest.text.outlets import csv_cell, text
from reports import TableFormat
from reports.tidy import COLUMNS, FLAG, NAME, NUMBER, TEXT, TIME, Frames


def check(format_: TableFormat) -> None:
    """Raises ConfigError where the package is missing that writes this format."""
    if format_ is TableFormat.PARQUET and find_spec("pyarrow") is None:
        raise ConfigError(
            "--format parquet: needs pyarrow: pip install pyarrow, or the extra of avaload: 'avaload[parquet]'"
        )


def write(frames: Frames, folder: Path, format_: TableFormat) -> dict[Path, int]:
    """Write all tables into the folder, each file whole or as it was; returns the rows of each. Raises OSError."""
    disk.make_folder(folder)
    written = {}
    for name, rows in frames.tables().items():
        path = folder / f"{name}.{format_}"
        with disk.replacing(path) as file:
            _WRITERS[format_](name, _shown(rows), file)
        written[path] = len(rows)
    return written


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """With texts that every file can hold."""
    return rows.assign(**_made(rows, (TEXT, NAME), lambda column: _each(column, text)))


def _csv(_table: str, rows: pd.DataFrame, file: IO[bytes]) -> None:
    cells = _made(rows, (TEXT, NAME), lambda column: _each(column, csv_cell))
    cells |= _made(rows, (TIME,), _rfc3339)
    cells |= _made(rows, (FLAG,), lambda column: column.map({True: "true", False: "false"}))
    rows.assign(**cells).to_csv(file, index=False, encoding="utf-8", lineterminator="\n")


def _jsonl(_table: str, rows: pd.DataFrame, file: IO[bytes]) -> None:
    if len(rows):  # pandas writes an empty line for none
        texts = rows.assign(**_made(rows, (TIME,), _rfc3339))
        texts.to_json(file, orient="records", lines=True, force_ascii=False, double_precision=9)


def _made(
    rows: pd.DataFrame, dtypes: tuple[str, ...], make: Callable[["pd.Series[Any]"], "pd.Series[Any]"]
) -> dict[str, "pd.Series[Any]"]:
    """The columns of these dtypes, made anew."""
    return {str(name): make(rows[name]) for name, dtype in rows.dtypes.items() if str(dtype) in dtypes}


def _each(column: "pd.Series[Any]", made: Callable[[str], str]) -> "pd.Series[Any]":
    return column.astype(TEXT).map(made, na_action="ignore").astype(TEXT)


def _rfc3339(times: "pd.Series[Any]") -> "pd.Series[Any]":
    shown: pd.Series[Any] = times.dt.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return shown


def _parquet(table: str, rows: pd.DataFrame, file: IO[bytes]) -> None:
    rows.to_parquet(file, engine="pyarrow", index=False, schema=_schema(table))


def _schema(table: str) -> Any:
    """Types that don't depend on what a run has shown; each column carries what it holds."""
    import pyarrow as pa

    types = {
        TEXT: pa.string(),
        NAME: pa.string(),
        TIME: pa.timestamp("ns", "UTC"),
        NUMBER: pa.int64(),
        FLAG: pa.bool_(),
    }
    return pa.schema(
        [
            pa.field(name, types.get(column.dtype, pa.float64()), metadata={"description": column.holds})
            for name, column in COLUMNS[table].items()
        ]
    )


_WRITERS: Final[Mapping[TableFormat, Callable[[str, pd.DataFrame, IO[bytes]], None]]] = {
    TableFormat.PARQUET: _parquet,
    TableFormat.CSV: _csv,
    TableFormat.JSONL: _jsonl,
}
