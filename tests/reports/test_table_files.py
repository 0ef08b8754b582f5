"""A run's tables, in memory and as files of each format: documented columns, texts, times and numbers."""

import csv
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

import loadtest
from loadtest.cli import main
from loadtest.config.run_dir import write_settings
from loadtest.config.settings import Settings
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Event, Outcome, Step, WorkerChanged, WorkerState
from reports import TableFormat
from reports.tidy import COLUMNS, ROWS
from tests.reports import journals as j
from tests.reports.formats.test_pages import one_of_each_trouble, sessions
from tests.support import ROOT

FORMULA = '=HYPERLINK("http://x.example","see")'


@pytest.fixture(params=["full", "empty"])
def any_run(request: pytest.FixtureRequest, run_dir: Path) -> Path:
    """A run with everything in it, and one in which nothing happened."""
    j.write_file(run_dir, [*sessions(20), *one_of_each_trouble()] if request.param == "full" else [])
    return run_dir


def failed(number: int, detail: str) -> list[Event]:
    """A session that the target refused, saying `detail`."""
    why = j.failure(Step.CREATE, Kind.REJECTED, Code.RATE_LIMITED, detail)
    return [*j.good_session(number, 1)[:1], j.finished(number, 1, 2.25, outcome=Outcome.FAILED, failure=why)]


def documented() -> dict[str, dict[str, tuple[str, str]]]:
    """Table → column → dtype and what it holds, as docs/reference/tables.md says."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for line in (ROOT / "docs" / "reference" / "tables.md").read_text().splitlines():
        if line.startswith("## "):
            table = found.setdefault(line[3:], {})
        elif row := re.fullmatch(r"\| `(\w+)` \| (.+?) \| (.+) \|", line):
            table[row[1]] = (row[2], row[3])
    return found


def test_every_table_has_the_documented_columns_and_types_whatever_was_seen(any_run: Path) -> None:
    for name, table in loadtest.read_run(any_run).tables().items():
        of_page = {column: dtype for column, (dtype, _) in documented()[name].items()}
        assert {str(column): str(dtype) for column, dtype in table.dtypes.items()} == of_page
    assert set(documented()) == set(COLUMNS)
    assert set(ROWS) == set(COLUMNS)


def test_the_table_of_steps_holds_the_steps_that_the_page_lists(run_dir: Path) -> None:
    j.write_file(run_dir, [*sessions(20), *one_of_each_trouble()])
    _, listed = documented()["steps"]["step"]
    assert set(loadtest.read_run(run_dir).steps["step"]) == set(listed.split(", "))


def test_units_are_as_documented(run_dir: Path) -> None:
    j.write_file(run_dir, [*sessions(20), *one_of_each_trouble()])
    frames = loadtest.read_run(run_dir)
    began = pd.Timestamp(j.WALL_NS, tz="UTC")
    session = frames.sessions.iloc[0]
    assert began <= session["started_at"] < began + pd.Timedelta(minutes=1)
    assert 1 < session["duration_s"] < 60
    assert (frames.secrets["lives_s"] == 600).all()
    assert (frames.health["lag_p99_s"] == 0.001).all()
    assert (frames.health["rss_bytes"] == 50_000_000).all()
    assert frames.gaps == ()


def test_tables_say_why_they_do_not_hold_all_of_a_run(run_dir: Path) -> None:
    j.write_file(run_dir, sessions(3), tail=b'{"event":\n', finish=None)
    j.write_file(run_dir, [], role="load")
    cut, unread = loadtest.read_run(run_dir).gaps
    assert cut == "journals without their writer's last word: 1 of 2 (host-a-engine-0-0.jsonl)"
    assert "passed over in the journals" in unread
    assert "host-a-engine-0-0.jsonl:" in unread


def test_tables_say_what_did_not_come_home_from_other_hosts(run_dir: Path, capsys: Any) -> None:
    told = [
        WorkerChanged(
            t_ns=j.at(1), worker="w", host="host-b", state=WorkerState.LOST, numbers=(0, 1), directory="/there/run-1"
        )
    ]
    j.write_file(run_dir, told, role="master")
    j.write_file(run_dir, [j.started(1, 1)], host="host-b", finish=None)
    j.write_file(run_dir, [], role="load", host="host-b")
    plan = Settings.model_validate({"load": {"users": 2, "processes": 2}})
    write_settings(plan, run_dir, started_at=datetime(2026, 9, 21, tzinfo=UTC))
    gaps = [
        "journals without their writer's last word: 1 of 3 (host-b-engine-0-0.jsonl)",
        "load process 1: no journal of its load and its engine; what it wrote is in /there/run-1 on host-b",
        "journals of other hosts are not all here: up to 1 session went on there",
    ]
    assert list(loadtest.read_run(run_dir).gaps) == gaps
    assert main(["export", str(run_dir), "--format", "csv"]) == 0
    assert capsys.readouterr().err.splitlines() == [f"avaload: warning: {gap}" for gap in gaps]


def test_a_session_without_an_end_has_no_duration(run_dir: Path) -> None:
    j.write_file(run_dir, [*sessions(1), j.started(7, 3), *failed(8, "busy")], finish=None)
    rows = loadtest.read_run(run_dir).sessions.set_index("session")
    assert rows["outcome"].isna().sum() == 1
    assert rows.loc[j.sid(7), ["outcome", "duration_s"]].isna().all()
    assert rows.loc[j.sid(8), "duration_s"] == 1.25


def test_tables_of_a_run_whose_settings_were_cut_are_a_value_error(run_dir: Path) -> None:
    j.write_file(run_dir, sessions(3))
    (run_dir / "settings.json").write_text('{"schema": 2, "sett')
    with pytest.raises(ValueError, match=r"settings\.json: can't be read"):
        loadtest.read_run(run_dir)


@pytest.mark.parametrize("format_", TableFormat)
def test_files_of_each_format_hold_the_tables(any_run: Path, tmp_path: Path, format_: str, capsys: Any) -> None:
    assert main(["export", str(any_run), "--format", format_, "--out", str(tmp_path / "out")]) == 0
    frames = loadtest.read_run(any_run).tables()
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/out/{name}.{format_}: {len(table)} row{'s' * (len(table) != 1)}" for name, table in frames.items()
    ]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(f"{name}.{format_}" for name in frames)
    for name, table in frames.items():
        path = tmp_path / "out" / f"{name}.{format_}"
        rows = {"parquet": of_parquet, "csv": of_csv, "jsonl": of_jsonl}[format_](path)
        assert rows == [[as_text(value) for value in row] for row in table.itertuples(index=False)], name


def as_text(value: Any) -> str | None:
    """A cell as text, a time to the microsecond; None where nothing was observed."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return f"{value:.9g}" if isinstance(value, float | int | np.number) else str(value)


def of_parquet(path: Path) -> list[list[str | None]]:
    table = pyarrow.parquet.read_table(path)
    for name, column in COLUMNS[path.stem].items():
        field = table.schema.field(name)
        assert field.metadata[b"description"].decode() == column.holds
        assert (field.type == pa.timestamp("ns", "UTC")) is (column.dtype == "datetime64[ns, UTC]")
    return [[as_text(value) for value in row.values()] for row in table.to_pylist()]


def of_jsonl(path: Path) -> list[list[str | None]]:
    return [[as_text(value) for value in json.loads(line).values()] for line in path.read_text().splitlines()]


def of_csv(path: Path) -> list[list[str | None]]:
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == list(COLUMNS[path.stem])
    numbers = {name for name, column in COLUMNS[path.stem].items() if column.dtype in ("Float64", "Int64")}

    def as_read(name: str, cell: str) -> str | None:
        return None if not cell else f"{float(cell):.9g}" if name in numbers else cell

    return [[as_read(name, cell) for name, cell in zip(head, row, strict=True)] for row in rows]


def test_what_a_target_said_is_text_in_every_file(run_dir: Path) -> None:
    j.write_file(run_dir, [*failed(1, FORMULA), *failed(2, "\x1b[2Jgone, \u202eback")])
    for format_ in TableFormat:
        assert main(["export", str(run_dir), "--format", format_]) == 0
    with (run_dir / "tables" / "sessions.csv").open(newline="") as file:
        assert [row["detail"] for row in csv.DictReader(file)] == [f"'{FORMULA}", "\ufffd[2Jgone, \ufffdback"]
    for rows in (
        [json.loads(line) for line in (run_dir / "tables" / "sessions.jsonl").read_text().splitlines()],
        pyarrow.parquet.read_table(run_dir / "tables" / "sessions.parquet").to_pylist(),
    ):
        assert [row["detail"] for row in rows] == [FORMULA, "\ufffd[2Jgone, \ufffdback"]


def test_without_its_package_parquet_is_refused_in_one_line(run_dir: Path, monkeypatch: Any, capsys: Any) -> None:
    j.write_file(run_dir, [])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main(["export", str(run_dir), "--format", "parquet"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "pip install" in said
    assert not (run_dir / "tables").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "one of the arguments --otlp-endpoint --format is required"),
        (["--format", "xlsx"], "xlsx"),
        (["--format", "csv", "--follow"], "--follow: only with --otlp-endpoint"),
        (["--format", "csv", "--trace-share", "0.5"], "--trace-share: only with --otlp-endpoint"),
        (["--format", "csv", "--live"], "--live: only with --otlp-endpoint"),
        (["--otlp-endpoint", "http://127.0.0.1:1", "--out", "x"], "--out: only with --format"),
        (["--format", "csv", "--otlp-endpoint", "http://127.0.0.1:1"], "not allowed with"),
    ],
)
def test_options_that_do_not_go_together_are_refused_in_one_line(
    run_dir: Path, options: list[str], said: str, capsys: Any
) -> None:
    j.write_file(run_dir, [])
    assert main(["export", str(run_dir), *options]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1


def test_a_file_or_a_link_where_the_folder_should_be_is_one_line(run_dir: Path, tmp_path: Path, capsys: Any) -> None:
    j.write_file(run_dir, [])
    (tmp_path / "file").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (run_dir / "tables").symlink_to(tmp_path / "elsewhere")
    for options in (["--out", str(tmp_path / "file")], []):
        assert main(["export", str(run_dir), "--format", "csv", *options]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert (tmp_path / "file").read_text() == "mine"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_table_that_can_not_be_written_leaves_the_one_before(run_dir: Path, monkeypatch: Any) -> None:
    j.write_file(run_dir, sessions(2))
    assert main(["export", str(run_dir), "--format", "csv"]) == 0
    before = (run_dir / "tables" / "sessions.csv").read_bytes()

    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fails)
    assert main(["export", str(run_dir), "--format", "csv"]) == 4
    assert (run_dir / "tables" / "sessions.csv").read_bytes() == before
    assert len(list((run_dir / "tables").iterdir())) == len(COLUMNS)
