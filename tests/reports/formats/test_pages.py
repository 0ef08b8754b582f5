"""The page, the Markdown and the JUnit file: whole, harmless, and saying what the numbers say."""

import base64
import hashlib
import itertools
import json
import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from loadtest.criteria.slo import Slo
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import (
    ClockCompared,
    Event,
    Fault,
    GeneratorFailed,
    Outcome,
    Remains,
    RuleChecked,
    RuleOutcome,
    StageStarted,
    Step,
    WorkerChanged,
    WorkerState,
)
from reports.build import build
from reports.data import frames
from reports.formats import junit, render_md
from reports.formats.charts import secret_charts, timelines
from tests.loadtest.capacity.simulated import Target
from tests.reports import journals as j

EVIL = "<script>alert('x')</script><img src=http://evil.example/>"
SETTINGS = {
    "run_id": "run|1",
    "tags": {"team": EVIL},
    "scenario": {"name": f"a|b {EVIL}", "load": {"users": 20}, "slo": []},
    "OPENAI_API_KEY": "sk-secret-that-should-not-be-here",
}


class Page(HTMLParser):
    """What a test asks of a page: its tags with their attributes, and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.tags if name == tag]

    def values(self, *names: str) -> list[str]:
        return [value for _, attrs in self.tags for name, value in attrs.items() if name in names]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def sessions(count: int, *, length_s: float = 60) -> list[Event]:
    rng = random.Random(7)
    events: list[Event] = []
    for number in range(1, count + 1):
        events += j.good_session(number, rng.uniform(0, length_s - 12), create_s=rng.lognormvariate(-1.6, 0.4))
    return events + [j.health(t_s, cpu_percent=30) for t_s in range(int(length_s))]


def one_of_each_trouble() -> list[Event]:
    left = j.good_session(91, 1)
    why = j.failure(Step.DELETE, Kind.REJECTED, Code.HTTP_5XX, EVIL)
    return [
        *left[:-4],
        j.step(91, Step.DELETE, 11.8, 12, outcome=Outcome.FAILED, failure=why),
        j.remains(91, 12, Remains.LEAKED, "delete_failed"),
        j.finished(91, 1, 12, outcome=Outcome.FAILED, failure=why, remains=Remains.LEAKED),
        *j.good_session(92, 1)[:4],
        GeneratorFailed(t_ns=j.at(5), fault=Fault.WORKER_LOST, process=1, detail=EVIL),
        StageStarted(t_ns=j.at(0), stage="all", users=20, steady=True),
    ]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run-1"
    path.mkdir()
    (path / "settings.json").write_text(json.dumps(SETTINGS))
    j.write_file(path, [*sessions(70), *one_of_each_trouble()], finish=None)
    build(path, slos=[Slo(name=EVIL, indicator="create.p95", max=0.1)])
    return path


@pytest.fixture(scope="module")
def html(run_dir: Path) -> str:
    return (run_dir / "report.html").read_text()


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_page_asks_nothing_of_anybody(html: str, page: Page) -> None:
    addresses = page.values("src", "href", "xlink:href", "srcset", "action", "data", "poster", "xmlns")
    assert [address for address in addresses if not address.startswith(("#", "data:,"))] == []
    assert [address for address in re.findall(r"url\(([^)]*)\)", html) if not address.startswith("#")] == []
    assert "@import" not in html
    assert page.all("img") == []
    # nine charts, each for two sizes of screen; drawings of what sessions did are for every size
    assert Counter(svg["class"] for svg in page.all("svg"))["chart"] == 18


def test_the_page_says_of_what_a_share_is_and_over_what_an_objective_is_judged(page: Page) -> None:
    assert re.search(r"Failed 1 [\d.]+ % of sessions, by the target's fault", page.text)
    assert "Judged over the steady part of the run, after its ramp; counts over the whole run;" in page.text


def test_the_only_script_that_may_run_is_the_pages_own(html: str, page: Page) -> None:
    (policy,) = (meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = dict(part.split(" ", 1) for part in policy.split("; "))
    assert allowed == {
        "default-src": "'none'", "script-src": f"'sha256-{digest}'", "style-src": "'unsafe-inline'",
        "img-src": "data:", "base-uri": "'none'", "form-action": "'none'",
    }  # fmt: skip
    assert [name for _, attrs in page.tags for name in attrs if name.startswith("on")] == []


def test_what_comes_from_a_run_is_text_and_not_markup(page: Page) -> None:
    assert page.text.count("<script>alert('x')</script>") >= 5


def test_ids_are_unique_and_whatever_is_referred_to_is_there(html: str, page: Page) -> None:
    ids = Counter(page.values("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    wanted = [address[1:] for address in page.values("href") if address.startswith("#")]
    wanted += page.values("aria-labelledby") + re.findall(r"url\(#([^)]+)\)", html)
    assert len(wanted) > 20
    assert [name for name in wanted if name not in ids] == []


def test_the_page_can_be_walked_through_without_seeing_it(page: Page) -> None:
    assert [len(page.all(tag)) for tag in ("header", "nav", "main", "footer", "h1")] == [1, 1, 1, 1, 1]
    assert page.all("html")[0]["lang"] == "en"
    assert [attrs for attrs in page.all("th") if attrs.get("scope") not in ("col", "row")] == []
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.all("svg"))


def test_drawings_take_their_colours_from_the_page(html: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    assert [color for svg in drawings for color in re.findall(r"#[0-9a-f]{6}\b", svg)] == []
    assert all("var(--series-1)" in svg or "var(--bad)" in svg for svg in drawings)
    assert all("<text" in svg for svg in drawings)


def test_the_verdict_comes_first_and_in_words(html: str, page: Page) -> None:
    assert html.index(">FAIL<") < html.index("<svg")
    assert "1 session left behind: delete failed" in page.text
    assert "Exit code 5: sessions were left behind at the target." in page.text


def test_the_page_is_read_in_the_order_of_weight(page: Page) -> None:
    order = [name for name in page.values("aria-labelledby") if name]
    assert order == [
        "key-figures", "objectives", "steps", "load", "failures", "conversation", "sessions", "secrets", "teardown",
        "rules", "generator", "settings",
    ]  # fmt: skip
    addresses = [attrs["href"] for attrs in page.all("a") if re.match(r"#(?!s-)", attrs["href"])]
    assert addresses == ["#verdict", *(f"#{name}" for name in order)]


def test_whatever_scrolls_can_be_reached_with_the_keyboard_and_has_a_name(page: Page) -> None:
    scrolling = [attrs for attrs in page.all("div") if "scroll" in attrs.get("class", "").split()]
    assert len(scrolling) > 5
    for attrs in scrolling:
        assert (attrs.get("tabindex"), attrs.get("role")) == ("0", "region"), attrs
    names = [attrs.get("aria-label", "") for attrs in scrolling]
    assert all(names)
    assert len(set(names)) == len(names)


def test_hosts_are_listed_with_what_came_home_and_how_well_their_clocks_are_known(tmp_path: Path) -> None:
    joined = WorkerChanged(t_ns=j.at(0), worker="w", host="far", state=WorkerState.JOINED, numbers=(0,), directory="/d")
    compared = ClockCompared(t_ns=j.at(1), host="far", boot_id="boot-a", offset_ns=-2_000_000_000, rtt_ns=600_000)
    j.write_file(tmp_path, [joined, compared], role="master", process=-1).rename(
        tmp_path / "journal" / "host-a-master.jsonl"
    )
    j.write_file(tmp_path, j.good_session(1, 1), process=0, host="far", finish=None)
    build(tmp_path)
    text = Page((tmp_path / "report.html").read_text()).text
    assert "Hosts of the run" in text
    assert "far 0 not all here; what it wrote is in /d ± 300 µs 2 s" in text
    assert "far-engine-0-0.jsonl: without its writer's last word" in text


def searched(path: Path, target: Target, *levels: tuple[int, str]) -> tuple[dict[str, Any], str]:
    """Report and text of the page of a search by users for `create.p95` within 300 ms, with 5 s a stage."""
    settings = {"capacity": {"by": "users"}, "load": {"users": 64}}
    (path / "settings.json").write_text(json.dumps({"scenario": settings}))
    stages = [
        event
        for number, (level, purpose) in enumerate(levels, 1)
        for event in target.stage(f"{number} {purpose}", level, open_=False, settle_s=1, hold_s=5)
    ]
    j.write_file(path, stages)
    report = build(path, slos=[Slo(name="quick", indicator="create.p95", max=0.3)])
    return report, Page((path / "report.html").read_text()).text


def test_a_search_says_its_answer_first_and_every_number_with_its_unit(tmp_path: Path) -> None:
    report, text = searched(tmp_path, Target(seed=1, slots=3), (2, "grow"), (4, "grow"), (16, "grow"), (4, "sustain"))
    found, sentence = report["capacity"], report["capacity"]["sentence"]
    assert (found["max_passing"]["level"], found["first_failing"]["level"]) == (4, 16)
    assert re.match(r"quick \(create\.p95\): \d+ ms, wanted at most 300 ms$", found["broke_first"])
    assert text.index(f"Capacity: {sentence}.") < text.index("Key figures")
    per_minute = f"{found['max_passing']['goodput_per_min']:,.1f}".removesuffix(".0")
    assert f"every objective: 4 users, {per_minute} good sessions per minute, sustained for 5 s." in text
    assert f"Lowest load that did not: 16 users. What broke first: {found['broke_first']}." in text
    assert "a dot passed, a × failed; dashed: the highest that held, 4 users." in text
    assert "Judged over the stage at that level, after its settling" in text
    assert "Figures are of the whole search" in text
    assert f"**Capacity: {sentence}.**" in render_md.render(report)


def test_a_search_in_which_no_level_held_shows_what_the_lowest_missed(tmp_path: Path) -> None:
    report, text = searched(tmp_path, Target(seed=1, slots=1), (8, "grow"), (16, "grow"))
    assert (report["capacity"]["max_passing"], report["capacity"]["first_failing"]["level"]) == (None, 8)
    (missed,) = (slo for slo in report["slos"] if slo["name"].startswith("quick"))
    (of_stage,) = (slo for slo in report["capacity"]["stages"][0]["slos"] if slo["name"] == "quick")
    assert (missed["name"], missed["outcome"], missed["judged_over"]) == ("quick at 8 users", "fail", "stage")
    assert missed["observed"] == of_stage["observed"] > 0.3
    reasons = report["verdict"]["reasons"]
    assert report["verdict"]["exit_code"] == 3
    assert [reason.partition(": ")[0] for reason in reasons] == ["no level held its objectives", "objective missed"]
    assert reasons[1].startswith("objective missed: quick at 8 users (create.p95): ")
    assert "quick at 8 users" in text[text.index("Judged over the stage at that level") :]
    assert "nothing was observed" not in text


def test_a_search_without_any_level_that_can_be_judged_says_so(tmp_path: Path) -> None:
    report, text = searched(tmp_path, Target(seed=1, slots=3, lags_from=0), (2, "grow"))
    assert (report["capacity"]["max_passing"], report["capacity"]["first_failing"], report["slos"]) == (None, None, [])
    assert "None could be judged: no level of the search says anything of the target." in text


def test_bars_too_thin_to_see_are_drawn_as_one() -> None:
    bars = [{"from_s": 0.001 * n, "to_s": 0.001 * (n + 1), "count": n} for n in (1, 2, 3)]
    bars.append({"from_s": 5.0, "to_s": 6.0, "count": 4})
    assert secret_charts._wide_enough(bars, 0.1) == [
        {"from_s": 0.001, "to_s": 0.101, "count": 6},
        {"from_s": 5.0, "to_s": 6.0, "count": 4},
    ]


def test_what_was_left_behind_has_its_cause_and_its_price(page: Page) -> None:
    assert "delete failed 1 0 60 s 60 s" in page.text
    assert "Together 120 s, at a price that nobody gave" in page.text


def test_a_run_of_probes_alone_begins_with_its_rules(tmp_path: Path) -> None:
    check = RuleChecked(
        t_ns=j.at(20), session=j.sid(1), rule="TD-3", outcome=RuleOutcome.PASS, detail="over after 10.4 s",
        purpose="probe:TD-3",
    )  # fmt: skip
    j.write_file(tmp_path, [*j.good_session(1, 1, purpose="probe:TD-3"), check])
    build(tmp_path)
    page = Page((tmp_path / "report.html").read_text())
    assert page.values("aria-labelledby") == ["rules", "secrets", "teardown", "generator", "settings"]
    assert "this run was probes alone" in page.text
    assert "by probes 0 TD-3 pass: over after 10.4 s" in page.text


def test_an_empty_run_shows_no_table_of_zeros(tmp_path: Path) -> None:
    j.write_file(tmp_path, [])
    build(tmp_path)
    page = Page((tmp_path / "report.html").read_text())
    assert "No load session was started. " in page.text
    assert "steps" not in page.values("id")
    assert page.all("svg") == []


def test_evidence_is_a_command_that_can_be_run(page: Page) -> None:
    assert f"avaload session run-1 {j.sid(91)}" in page.text
    assert "avaload sweep run-1" in page.text


def test_commands_are_quoted_as_a_shell_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_dir = tmp_path / "runs" / "PR 12; rm"
    j.write_file(run_dir, [*j.good_session(1, 1), *one_of_each_trouble()], finish=None)
    build(run_dir)
    page = Page((run_dir / "report.html").read_text())
    commands = [*re.findall(r"avaload (?:session|sweep) .{20}", page.text), *page.values("data-copy")]
    assert {command.split()[1] for command in commands} >= {"session", "sweep"}
    assert [command for command in commands if not re.match(r"avaload \w+ 'runs/PR 12; rm'", command)] == []


def test_nothing_secret_is_in_any_file(run_dir: Path) -> None:
    for name in ("report.json", "report.md", "report.html", "junit.xml"):
        text = (run_dir / name).read_text()
        assert "fingerprint-1" not in text
        assert "sk-secret" not in text


def test_equal_journals_give_equal_files(run_dir: Path, html: str) -> None:
    build(run_dir, slos=[Slo(name=EVIL, indicator="create.p95", max=0.1)])
    assert (run_dir / "report.html").read_text() == html


def test_no_half_written_file_is_left(run_dir: Path) -> None:
    assert sorted(path.name for path in run_dir.iterdir()) == [
        "journal", "junit.xml", "metrics.txt", "report.html", "report.json", "report.md", "settings.json",
    ]  # fmt: skip


def test_a_long_run_makes_no_larger_page(tmp_path: Path) -> None:
    j.write_file(tmp_path, sessions(2000, length_s=3600))
    build(tmp_path)
    assert (tmp_path / "report.html").stat().st_size < 500_000


def test_every_point_of_a_small_run_is_drawn(tmp_path: Path) -> None:
    in_order = [j.good_session(n, n * 0.5, first_audio_s=(0.5, 0.5 + n * 1e-6)) for n in range(1, 71)]
    j.write_file(tmp_path, sorted(itertools.chain(*in_order), key=lambda event: event.t_ns))
    chart = timelines.latency(frames.load(tmp_path))
    assert chart is not None
    dots = [path for path in re.findall(r'd="(M [^"]*)"', chart.drawings["wide"]) if path.count("M ") > 2]
    assert sorted(path.count("L ") for path in dots) == [70, 70, 70, 70, 140]  # no stroke, no dot


def test_marks_of_an_axis_are_told_apart_however_close_they_are() -> None:
    bars = [{"from_s": 599.970 + n / 1000, "to_s": 599.971 + n / 1000, "count": 1} for n in range(25)]
    chart = secret_charts.secret_margins({"margin_at_create": [], "margin_at_connect": bars})
    assert chart is not None
    marks = re.findall(r">(599\.\d+ s)<", chart.drawings["wide"])
    assert len(set(marks)) == len(marks) >= 4
    assert chart.rows[0] == ("when the session was connected", "599.970 s", "599.971 s", "1")


def test_bars_begin_at_zero_and_have_a_round_width(tmp_path: Path) -> None:
    j.write_file(tmp_path, j.good_session(1, 1, first_audio_s=(0.5071, 0.5072, 0.5601)))
    chart = timelines.first_audio(frames.load(tmp_path))
    assert chart is not None
    assert chart.rows == [("500 ms", "520 ms", "2"), ("560 ms", "580 ms", "1")]
    assert ">0 s<" in chart.drawings["wide"]


def test_of_a_prompt_only_the_length_is_shown(tmp_path: Path) -> None:
    j.write_file(tmp_path, j.good_session(1, 1))
    session = {"model": "gpt-realtime", "instructions": "Sell the blue one."}
    (tmp_path / "settings.json").write_text(json.dumps({"scenario": {"realtime": session}}))
    build(tmp_path)
    text = Page((tmp_path / "report.html").read_text()).text
    assert "gpt-realtime" in text
    assert "(18 characters)" in text
    assert "blue" not in text


def test_the_table_behind_a_chart_holds_its_numbers(tmp_path: Path) -> None:
    events: Iterable[Event] = [j.started(1, 0.5), j.finished(1, 0.5, 2.5), j.started(2, 1), j.finished(2, 1, 1.5)]
    j.write_file(tmp_path, events)
    chart = timelines.concurrency(frames.load(tmp_path))
    assert chart is not None
    assert chart.columns == ("from", "at its start", "at most")
    assert chart.rows == [("0:00", "0", "1"), ("0:01", "2", "2"), ("0:02", "1", "1")]


@pytest.mark.parametrize(("at_s", "text"), [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (3725, "1:02:05")])
def test_times_after_the_start_are_read_like_a_clock(at_s: float, text: str) -> None:
    assert timelines.clock(at_s) == text


def test_the_markdown_fits_into_a_pull_request(run_dir: Path) -> None:
    lines = (run_dir / "report.md").read_text().splitlines()
    assert lines[0].startswith("## ❌ fail: a\\|b &lt;script>")
    assert "- 1 session left behind: delete failed" in lines
    steps = [line for line in lines if line.startswith("| mint ")]
    assert steps == ["| mint | 72 | 0 | 100 ms | 100 ms | 100 ms | 100 ms |"]
    assert len(lines) < 60


def test_markdown_is_short_enough_for_a_comment_on_github_whatever_a_target_said(tmp_path: Path) -> None:
    j.write_file(tmp_path, sessions(5))
    report = build(tmp_path)
    report["verdict"]["reasons"] = [f"{number}: {'x' * 9_000}" for number in range(15)]
    text = render_md.render(report)
    assert 40_000 < len(text) <= 60_100
    assert text.endswith("\n\n(cut short)\n")


def test_markdown_has_a_dash_where_nothing_was_observed(tmp_path: Path) -> None:
    j.write_file(tmp_path, [j.started(1, 1), j.finished(1, 1, 2)])
    text = render_md.render(build(tmp_path))
    assert "| mint | 0 | 0 | – | – | – | – |" in text


def cases_of(path: Path) -> dict[str, Any]:
    suite = ElementTree.parse(path / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    failed = [case for case in cases if case.find("failure") is not None]
    assert (suite.get("tests"), suite.get("failures")) == (str(len(cases)), str(len(failed)))
    return {str(case.get("name")): case.findtext("failure") for case in cases}


def test_junit_has_a_case_per_objective_and_for_the_run_itself(run_dir: Path) -> None:
    cases = cases_of(run_dir)
    assert list(cases)[:7] == [
        "the generator is valid",
        "nothing is left behind",
        "the run was not interrupted",
        "no objective stopped the run",
        "the run shows what it was to show",
        "no journal is truncated",
        EVIL,
    ]
    assert cases["nothing is left behind"] == "1 session left behind: delete failed"
    assert cases["no journal is truncated"] == "host-a-engine-0-0.jsonl"
    assert cases["the run was not interrupted"] is None
    assert "wanted at most 100 ms" in str(cases[EVIL])


def test_junit_of_a_run_that_passed_has_no_failure(tmp_path: Path) -> None:
    j.write_file(tmp_path, j.good_session(1, 1))
    build(tmp_path)
    assert set(cases_of(tmp_path).values()) == {None}


def test_junit_can_hold_no_character_that_xml_forbids(tmp_path: Path) -> None:
    j.write_file(tmp_path, j.good_session(1, 1))
    report = build(tmp_path, slos=[Slo(name="bell \a and \x00", indicator="mint.p50", max=1)])
    names = [case.get("name") for case in ElementTree.fromstring(junit.render(report)).findall(".//testcase")]
    assert "bell \ufffd and \ufffd" in names


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
@pytest.mark.parametrize("width_px", [1280, 390])
def test_chromium_draws_the_page_without_a_complaint(run_dir: Path, tmp_path: Path, width_px: int) -> None:
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'profile'}",
        "--enable-logging=stderr", "--v=0", f"--window-size={width_px},2000",
        f"--screenshot={tmp_path / 'page.png'}", (run_dir / "report.html").as_uri(),
    ]  # fmt: skip

    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert "CONSOLE" not in done.stderr  # what the page itself is accused of: parsing, policy, missing things
    assert (tmp_path / "page.png").stat().st_size > 20_000
