"""Journals → answers. `reports.build.build` is the entry; pandas is used in this package only."""

from enum import StrEnum


class TableFormat(StrEnum):
    """How a run's tables are written as files; the end of their names, too. `table_files` writes them."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"
