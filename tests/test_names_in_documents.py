"""Names that a person wrote in a document are names that there are: variables, tables of a scenario, keys of
report.json, metrics, exit codes. Options and commands: tests/test_code_blocks.py. That everything that there is stands
in docs/reference: tests/test_documents.py, and the programs that write those pages."""

import re

import pytest

from exporters.metrics.catalogue import BY_NAME
from loadtest.config import environment
from loadtest.config.keys.scenario import sections
from loadtest.config.settings import Settings
from loadtest.errors.exit_codes import Exit
from reports.report_keys import keys
from tests.support import ROOT
from tests.test_documents import WRITTEN

USERS = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in WRITTEN)
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXIT_CODES = {code for code in Exit if code is not Exit.BUG}  # no document promises a bug


def settings() -> set[str]:
    """Variables of all keys whose section is a table."""
    return {
        f"{environment.PREFIX}{section}__{key}".upper()
        for section, field in Settings.model_fields.items()
        for table in sections(field)
        for key in table.model_fields
    }


def names(pattern: str, text: str = USERS) -> set[str]:
    found = set(re.findall(pattern, text))
    assert found, "the pattern finds none"
    return found


def test_every_variable_that_a_document_names_is_one() -> None:
    ours = settings() | set(environment.READ) | set(environment.BETWEEN_PROCESSES)
    elsewhere = set(re.findall(r"\$\{(AVALOAD_\w+)", (ROOT / "dashboards/compose.yaml").read_text(encoding="utf-8")))
    assert names(r"\bAVALOAD_[A-Z_]*[A-Z]\b") - ours - elsewhere == set()


def test_every_table_of_a_scenario_that_a_document_names_is_one() -> None:
    tables = {name.split(".")[0] for name in names(r"`\[{1,2}([a-z_.]+)\]{1,2}[` ]")}
    assert tables - set(Settings.model_fields) == set()


def test_every_key_of_a_table_that_a_document_names_is_one() -> None:
    said = names(r"`\[([a-z_]+)\] ([a-z_]+)\b")
    assert {(section, key) for section, key in said if f"AVALOAD_{section}__{key}".upper() not in settings()} == set()


def test_every_metric_that_a_document_names_is_one() -> None:
    fixtures = {"avaload_run", "avaload_slo", "avaload_twin"}
    ending = re.compile(r"_(bucket|count|sum)$")
    said = {name for name in names(r"\bavaload_[a-z_]+") if name not in BY_NAME and ending.sub("", name) not in BY_NAME}
    assert said - fixtures == set()


def test_every_exit_code_that_a_document_names_is_one_and_the_readme_has_them_all() -> None:
    table = README.partition("| exit code |")[2].partition("\n\n")[0]
    assert {int(code) for code in names(r"(?m)^\| (\d+) \|", table)} == EXIT_CODES
    assert {int(code) for code in names(r"\bexits? (?:with |code )?(\d+)\b")} <= EXIT_CODES


@pytest.mark.parametrize(("page", "head", "prefix"), [("docs/capacity.md", "| key | is |", "capacity.")])
def test_every_key_of_a_report_in_a_table_of_a_document_is_one(page: str, head: str, prefix: str) -> None:
    table = (ROOT / page).read_text(encoding="utf-8").partition(head)[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    said = {prefix + name for cell in cells for name in names(r"`(\w+)`", cell)}
    there = {re.match(r"[\w.]+", key)[0] for key in keys()}  # type: ignore[index]
    assert {name for name in said if not any(key == name or key.startswith(f"{name}.") for key in there)} == set()
