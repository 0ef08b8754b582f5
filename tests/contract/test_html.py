"""Every page against the rules of HTML, by the checker of those who keep them. It is installed by the test, never
committed."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from exporters.locust_ui import sessions_page
from loadtest.criteria.slo import Slo
from loadtest.events.kinds import RuleChecked, RuleOutcome
from reports.build import build
from reports.comparing.compare import compare
from reports.formats.compare_pages import write
from tests.loadtest.capacity.simulated import Target
from tests.programs import needed, npm_install
from tests.reports import journals as j
from tests.reports.formats.test_pages import one_of_each_trouble, sessions

PACKAGE = "vnu-jar@26.9.27"
JAR = Path("node_modules/vnu-jar/build/dist/vnu.jar")
INSTALL_S, DEADLINE_S = 90, 90


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needed("java")
    folder = tmp_path_factory.mktemp("vnu")
    npm_install(folder, PACKAGE, timeout_s=INSTALL_S)
    return folder / JAR


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A page of each kind that there is."""
    folder = tmp_path_factory.mktemp("pages")
    check = RuleChecked(
        t_ns=j.at(20), session=j.sid(1), rule="TD-3", outcome=RuleOutcome.PASS, detail="over", purpose="probe:TD-3"
    )
    target = Target(seed=1, slots=3)
    search = [
        event
        for number, (level, purpose) in enumerate(((2, "grow"), (16, "grow"), (2, "sustain")), 1)
        for event in target.stage(f"{number} {purpose}", level, open_=False, settle_s=1, hold_s=5)
    ]
    runs = {
        "good": sessions(70),
        "troubled": [*sessions(70), *one_of_each_trouble()],
        "probes": [*j.good_session(1, 1, purpose="probe:TD-3"), check],
        "search": search,
        "empty": [],
    }
    for name, events in runs.items():
        (folder / name).mkdir()
        j.write_file(folder / name, events)
    settings = {"scenario": {"capacity": {"by": "users"}, "load": {"users": 64}}}
    (folder / "search" / "settings.json").write_text(json.dumps(settings))
    for name in runs:
        build(folder / name, slos=[Slo(name="<b>", indicator="create.p95", max=0.3)])
    comparison = write(compare([folder / "good"], [folder / "troubled"]), folder)
    live = Path(sessions_page.__file__).with_name("sessions_page.html")
    return [*(folder / name / "report.html" for name in runs), comparison, live]


@pytest.fixture(scope="module")
def complaints(checker: Path, pages: list[Path]) -> list[str]:
    """What the checker says of all pages, and of one that is wrong on purpose."""
    wrong = pages[0].with_name("wrong.html")
    wrong.write_text(
        '<!doctype html><html lang="en"><title>x</title><figure>a<figcaption>b</figcaption><p>c</p></figure>'
    )
    command = ["java", "-jar", str(checker), "--format", "json", *map(str, [*pages, wrong])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    said: list[dict[str, Any]] = json.loads(done.stderr)["messages"]
    return [f"{Path(each['url']).name}:{each.get('lastLine')} {each['message']}" for each in said]


def test_no_page_has_an_error_or_a_warning(complaints: list[str]) -> None:
    assert [complaint for complaint in complaints if not complaint.startswith("wrong.html")] == []


def test_the_checker_finds_what_is_wrong(complaints: list[str]) -> None:
    (found,) = (complaint for complaint in complaints if complaint.startswith("wrong.html"))
    assert "not allowed as child of element “figure”" in found
