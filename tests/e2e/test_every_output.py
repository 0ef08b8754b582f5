"""Two hundred secrets, in more than forty spellings and in every place of an answer, and text that wants to be obeyed:
no output of a run, nor of a command that reads one, tells the first or obeys the second."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadtest.events.kinds import SessionFinished
from tests.e2e.planting import Planting, outputs_of
from tests.e2e.target import events
from tests.e2e.test_hostile_target import in_a_thread
from tests.e2e.test_strangers_run import NASTY, markdown_is_text, no_commands, shown_safely
from tests.exporters.traces.receiver import Answer, Receiver, attributes
from tests.spellings import PLACES, SPELLINGS, decoded, secret_of
from tests.support import ROOT, Avaload, Done, avaload, call, environment, eventually, free_port, get

pytestmark = pytest.mark.timeout(400)
GRAM = 12
SEED = int(os.environ.get("AVALOAD_PLANTED_SEED", "0"))
"""Another one draws other secrets, spellings and places: `make soak` tries some."""
TEXTS = 400


def secrets(count: int, *, seed: int) -> list[str]:
    """Each with letters and digits enough to be told from others."""
    found: list[str] = []
    while len(found) < count:
        seed += 1
        if sum(map(str.isalnum, secret := secret_of(seed))) >= GRAM + 2 and len(secret) <= 100:
            found.append(secret)
    return found


class Searched:
    """Where any piece of a secret can be read, whatever was done to it."""

    def __init__(self, known: list[str]) -> None:
        self._pieces = {
            plain[at : at + GRAM]: secret
            for secret in known
            for plain in ["".join(filter(str.isalnum, secret)).lower()]
            for at in range(len(plain) - GRAM + 1)
        }

    def found(self, text: str) -> set[str]:
        plain = "".join(filter(str.isalnum, f"{text}\n{decoded(text)}")).lower()
        places = (plain[at : at + GRAM] for at in range(len(plain) - GRAM + 1))
        return {self._pieces[piece] for piece in places if piece in self._pieces}


@dataclass
class Seen:
    """A run that has ended, and all that can be read of it and of the commands that read it: by where."""

    target: Planting
    run: Avaload
    done: Done
    receiver: Receiver
    outputs: dict[str, str] = field(default_factory=dict)


SCENARIO = """
name = "planted"
[load]
users = 30
duration = "2m"
ramp = "0s"
graceful_stop = "2s"
pacing = "100ms"
[target]
room = "websocket"
connect_timeout_s = 2
gone_timeout_s = 0.5
{target}
[conversation]
answer_timeout_s = 0.5
[[conversation.turns]]
kind = "silence"
for_s = 0.2
[output]
keep_transcripts = {transcripts}
"""
DIRECT = 'openai_base_url = "{url}/v1"\navaturn_base_url = "{url}"\n'
PAGES = ("/sessions", "/sessions/live.json", "/stats/requests", "/exceptions", "/logs", "/tasks")


def seen(
    stack: ExitStack,
    directory: Path,
    target: Planting,
    target_settings: str,
    environ: dict[str, str],
    refused: list[Answer],
    *,
    transcripts: bool,
) -> Seen:
    """`refused`: what the collector says to the first exports of spans, during the run and afterwards."""
    url = stack.enter_context(in_a_thread(target))
    receiver = stack.enter_context(Receiver(first=list(refused)))
    scenario = directory / "planted.toml"
    settings = target_settings.replace("{url}", url)
    scenario.write_text(SCENARIO.format(target=settings, transcripts=str(transcripts).lower()))
    metrics, web = free_port(), free_port()
    watched = ("--otlp-endpoint", receiver.url, "--metrics-port", metrics, "--web-port", web, "--metrics-linger", "0s")
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(directory / "summary.md")}
    with avaload("run", scenario, *watched, cwd=directory, environ=environ | github) as run:
        eventually(lambda: target.planted > TEXTS, within_s=90, what=f"{TEXTS} texts", during=run)
        live = {page: get(f"http://127.0.0.1:{web}{page}")[1].decode() for page in PAGES}
        live["/metrics"] = get(f"http://127.0.0.1:{metrics}/metrics")[1].decode()
        os.killpg(run.pid, signal.SIGINT)
        done = run.finish(within_s=60)
    found = Seen(target, run, done, receiver, live)
    found.outputs |= {"stdout": done.out, "stderr": done.err} | outputs_of(run)
    found.outputs["summary.md"] = (directory / "summary.md").read_text()

    failed = [e.session for e in events(run.run_dir) if isinstance(e, SessionFinished) and e.failure is not None]
    other, compared, probes = directory / "other", directory / "compared", directory / "probes"
    shutil.copytree(run.run_dir, other)
    receiver.status, receiver.first = 400, list(refused)
    target.heard.clear()  # nobody can know what was told to another process
    commands: list[tuple[object, ...]] = [
        *(("session", other, session) for session in failed[:2]),
        ("compare", other, "--to", run.run_dir, "--out", compared),
        ("report", other),
        ("export", other, "--otlp-endpoint", receiver.url),
        ("plan", other, "--users", "10"),
        ("sweep", other, "--scenario", scenario),
        ("doctor", scenario),
    ]
    environ = environ | {"GITHUB_ACTIONS": "true"}
    if "backend" not in target_settings:
        environ |= {"AVALOAD_TARGET__OPENAI_BASE_URL": f"{url}/v1", "AVALOAD_TARGET__AVATURN_BASE_URL": url}
        environ |= {"AVALOAD_TARGET__CONNECT_TIMEOUT_S": "2", "AVALOAD_TARGET__ROOM": "websocket"}
        commands.append(("probe", "VAL-1", "ERR-3", "GA-2", "--run-dir", probes, "--metrics-port", "off"))
    with ThreadPoolExecutor(3) as pool:
        ended = list(pool.map(lambda words: call(*words, cwd=directory, environ=environ, within_s=150), commands))
    for words, again in zip(commands, ended, strict=True):
        assert "mistake of avaload" not in again.err, again
        for stream, said in (("stdout", again.out), ("stderr", again.err)):
            where = f"{words[0]} {stream}"
            found.outputs[where] = found.outputs.get(where, "") + said
    written = {"compare": compared, "probe": probes, "report": other}
    found.outputs |= {
        f"{command} {path.name}": path.read_text(errors="replace")
        for command, where in written.items()
        for path in where.rglob("*")
        if path.is_file()
    }
    for span in receiver.spans:
        told = [span.name, span.status.message, *map(str, attributes(span.attributes).items())]
        told += [f"{event.name} {attributes(event.attributes)}" for event in span.events]
        found.outputs["spans"] = "\n".join((found.outputs.get("spans", ""), *told))
    found.outputs["resources"] = str(receiver.resources)
    return found


STATIC = secrets(200, seed=10_000 * SEED)
KEYS = {"OPENAI_API_KEY": f"sk-{secrets(1, seed=9000)[0]}", "AVATURN_API_KEY": secrets(1, seed=9100)[0]}

AROUND = secrets(3, seed=9200)
"""Of the collector, the other hosts and the metrics page."""


class Telling:
    """Says one of the secrets at a time, in some spelling and place."""

    def __init__(self, known: list[str], *, seed: int) -> None:
        self.target: Planting | None = None
        self._known, self._chance = known, random.Random(seed)
        self.said: set[tuple[str, str]] = set()

    def __call__(self) -> str:
        heard = [] if self.target is None else self.target.heard[-5:]
        secret = self._chance.choice(heard if heard and self._chance.random() < 0.3 else self._known)
        spelling = self._chance.choice(list(SPELLINGS))
        self.said.add((secret, spelling))
        return self._chance.choice(PLACES).format(SPELLINGS[spelling](secret))


def refusals(text: Callable[[], str]) -> list[Answer]:
    """Of a collector that gives such a text back, in one status or another."""
    statuses = (400, 401, 403, 404, 500)
    return [Answer(status, body=text().encode(errors="replace")) for status in statuses * 3]


def planting(known: list[str], *, seed: int) -> tuple[Planting, Telling]:
    telling = Telling(known, seed=seed)
    telling.target = Planting(telling, seed=seed)
    return telling.target, telling


BACKEND = """
avaturn_base_url = "{url}"
[target.backend]
url = "{url}/start"
headers = {headers}
body = {body}
[target.backend.delete]
url = "{url}/stop/{session_id}"
method = "POST"
"""


@pytest.fixture(scope="module", params=["services", "back end"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Seen, Telling]]:
    directory = tmp_path_factory.mktemp("told")
    environ = KEYS | {"OTEL_EXPORTER_OTLP_HEADERS": f"api-key={quote(AROUND[0], safe='')}"}
    environ["AVALOAD_CLUSTER_TOKEN"], environ["AVALOAD_METRICS_PASSWORD"] = AROUND[1:]
    refused = refusals(Telling(AROUND[:1], seed=SEED + 4))
    with ExitStack() as stack:
        if request.param == "services":
            target, telling = planting(list(KEYS.values()), seed=SEED + 1)
            yield seen(stack, directory, target, DIRECT, environ, refused, transcripts=False), telling
            return
        named = {f"SHOP_{number}": secret for number, secret in enumerate(STATIC[:20])}
        headers = {f"X-H-{number}": secret for number, secret in enumerate(STATIC[20:110])}
        headers |= {f"X-E-{number}": f"env:{name}" for number, name in enumerate(named)}
        body = {f"b{number}": secret for number, secret in enumerate(STATIC[110:155])}
        body |= {"deep": {"list": STATIC[155:]}}  # type: ignore[dict-item]
        target, telling = planting([*STATIC, KEYS["AVATURN_API_KEY"]], seed=SEED + 2)
        settings = BACKEND.replace("{headers}", toml(headers)).replace("{body}", toml(body))
        yield seen(stack, directory, target, settings, environ | named, refused, transcripts=False), telling


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + " }"
    return "[" + ", ".join(map(toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


def test_no_output_tells_a_secret_that_was_given_back(told: tuple[Seen, Telling]) -> None:
    run, telling = told
    assert run.target.planted > 200
    assert len({spelling for _, spelling in telling.said}) == len(SPELLINGS) > 40
    report = run.run.report()
    assert report["sessions"]["failed"] > 20
    assert {row["id"]: row["outcome"] for row in report["rules"]}["SEC-1"] == "pass"
    expected = {"report.html", "report.md", "junit.xml", "metrics.txt", "log.jsonl", "locust.log", "settings.json"}
    expected |= {"/metrics", "/sessions/live.json", "/exceptions", "spans", "session stdout", "compare compare.html"}
    assert expected <= run.outputs.keys()
    assert all(run.outputs[name] for name in expected)
    assert len(run.receiver.first) < len(refusals(str))
    searched = Searched([*STATIC, *KEYS.values(), *AROUND, *run.target.told])
    assert searched.found(f"x {SPELLINGS['base64, third'](STATIC[7])} y") == {STATIC[7]}
    found = {where: searched.found(text) for where, text in run.outputs.items()}
    assert {where: each for where, each in found.items() if each} == {}


def test_a_mistake_of_our_own_tells_no_key_either(tmp_path: Path) -> None:
    """The file that holds its traceback, and the line that names it."""
    script = (
        "import json, os, sys, avaload\navaload.settle()\n"
        "def broken():\n    raise LookupError('with ' + os.environ['OPENAI_API_KEY'] + ' ' + told)\n"
        "for told in json.loads(sys.argv[1]):\n    avaload.guarded(broken)\n"
    )
    key = KEYS["OPENAI_API_KEY"]
    environ = environment("x", OPENAI_API_KEY=key, TMPDIR=str(tmp_path))
    command = [sys.executable, "-c", script, json.dumps([spell(key) for spell in SPELLINGS.values()])]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, cwd=ROOT, timeout=60)
    lines = done.stderr.splitlines()
    for name, line in zip(SPELLINGS, lines, strict=True):
        assert line.startswith("avaload: a mistake of avaload's own, LookupError: with "), line
        path = Path(line.rpartition("; details: ")[2])
        assert path.stat().st_mode & 0o777 == 0o600
        assert "LookupError" in path.read_text()
        assert Searched([key]).found(line + path.read_text()) == set(), name
    assert (len(list(tmp_path.glob("avaload-*.log"))), done.stdout) == (len(SPELLINGS), "")


WANTS: tuple[str, ...] = (
    NASTY,
    *NASTY.splitlines(),
    "::error::owned",
    "\x1b]8;;http://evil.example\x07click\x1b]8;;\x07",
    "\u202etxt.exe\u2066 \u2028::add-mask::x",
    "half \ud83d of it \udc00",
    "| a | b |\n|---|---|\n| [x](http://evil.example) | @everyone |",
    "]]></failure><testcase name='forged'/>",
    "<img src=x onerror=alert(1)><script>alert(1)</script>",
    '","severity":"INFO","body":"all is well',
    "\r[2026-11-30 00:00:00,000] x/INFO/locust: forged",
)


@pytest.fixture(scope="module")
def commanded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    directory, chance = tmp_path_factory.mktemp("commanded"), random.Random(SEED + 3)
    with ExitStack() as stack:
        target = Planting(lambda: chance.choice(WANTS), seed=SEED + 3)
        yield seen(stack, directory, target, DIRECT, KEYS, refusals(lambda: chance.choice(WANTS)), transcripts=True)


def texts_of(value: Any) -> Iterator[str]:
    """All that a JSON value has of text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from (name, *texts_of(each))
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)


def test_no_output_obeys_what_a_target_says(commanded: Seen) -> None:
    outputs = commanded.outputs
    assert commanded.target.planted > 200
    assert "evil.example" in outputs["report.html"] + outputs["session stdout"]
    for where, text in outputs.items():
        if where.startswith("journal/") or where in ("probe events", "settings.json", "traces.json"):
            continue  # data of ours, which no person reads as it is
        if where.endswith(".jsonl") and where != "log.jsonl":
            continue
        shown_safely(text)
        assert "Traceback" not in text
        if where.endswith(("stdout", "stderr", ".log")):
            no_commands(text)
            assert "\n[2026-11-30 00:00:00,000]" not in text
        if where.endswith(".md"):
            markdown_is_text(text)
        if where.endswith(".html") or where in ("/sessions", "/tasks"):
            assert "<script>alert" not in text
            assert "<img src=x" not in text
        if where.endswith("junit.xml"):
            assert "forged" not in {case.get("name") for case in ElementTree.fromstring(text).iter("testcase")}
    for where in ("/sessions/live.json", "/stats/requests", "/exceptions", "/logs"):
        shown_safely("\n".join(texts_of(json.loads(outputs[where]))))
    lines = [json.loads(line) for line in outputs["log.jsonl"].splitlines()]
    assert {line["severity"] for line in lines} == {"INFO", "ERROR"}
    assert "all is well" not in {line["body"] for line in lines}
    families = list(text_string_to_metric_families(outputs["/metrics"]))
    assert len(families) > 30
    labels = {value for family in families for sample in family.samples for value in sample.labels.values()}
    assert not [value for value in labels if "evil" in value or "owned" in value]
