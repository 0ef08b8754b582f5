"""Bad input: a line per problem, exit 2, and nothing was started, connected to, resolved, written or lost."""

import os
import re
import socket
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.support import call

WATCH = """
import os, sys
STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"}
REACHES = {"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
def hook(event, arguments):
    if event in STARTS or event in REACHES:
        os.write(log, f"{event} {arguments!r}\\n".encode())
log = os.open(os.environ["WATCH_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
sys.addaudithook(hook)
"""


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH: a Python with it notes in $WATCH_LOG what it starts and whom it tries to reach."""
    path = tmp_path_factory.mktemp("watch")
    (path / "sitecustomize.py").write_text(WATCH)
    return path


def tone(path: Path, *, pause_s: float = 0.0) -> None:
    """A WAV file: a second of sound, a pause, a second of sound."""
    rate_hz = 24_000
    sound = (8000 * np.sin(np.arange(rate_hz) * 2 * np.pi * 220 / rate_hz)).astype("<i2").tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(sound + bytes(2 * int(rate_hz * pause_s)) + sound)


def saying(clip: str) -> str:
    return f'[[conversation.turns]]\nkind = "say"\nclip = "{clip}"\n'


REMOTE = ("--openai-base-url", "https://openai.invalid/v1", "--avaturn-base-url", "https://avaturn.invalid")
LOCAL = ("--openai-base-url", "http://127.0.0.1:1/v1", "--avaturn-base-url", "http://127.0.0.1:2")
LOCAL_ENVIRON = {"AVALOAD_TARGET__OPENAI_BASE_URL": LOCAL[1], "AVALOAD_TARGET__AVATURN_BASE_URL": LOCAL[3]}
KEYS = {"OPENAI_API_KEY": "sk-something-1234", "AVATURN_API_KEY": "something"}


@dataclass(frozen=True)
class Case:
    """`arguments` after the word avaload; {tmp} is the working directory. `says`: a pattern per line of stderr."""

    name: str
    arguments: tuple[str, ...]
    says: tuple[str, ...]
    toml: str | None = None
    environ: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], object] = lambda _tmp: None


CASES = [
    Case(
        "unknown key",
        ("run", "{toml}"),
        (r".+/scenario\.toml:2: load\.userz: unknown key \(did you mean users\?\)",),
        toml="[load]\nuserz = 3\n",
    ),
    Case(
        "unknown section",
        ("run", "{toml}"),
        (r".+/scenario\.toml:1: lod: unknown key \(did you mean load\?\)",),
        toml="[lod]\nusers = 3\n",
    ),
    Case("syntax", ("run", "{toml}"), (r".*scenario\.toml: not valid TOML: .+",), toml="users = = 3\n"),
    Case(
        "two problems",
        ("run", "{toml}"),
        (r".+:2: load\.users: .+", r".+:3: lod: .+"),
        toml="[load]\nusers = 0\n[lod]\n",
    ),
    Case(
        "no such scenario",
        ("run", "nowhere.toml"),
        (r"nowhere\.toml: No such file or directory; `avaload init NAME` writes one",),
    ),
    Case("a folder as scenario", ("run", "{tmp}"), (r".+: Is a directory",)),
    Case(
        "unknown key in the environment", ("run",), (r"AVALOAD_LOAD__USERZ: .+",), environ={"AVALOAD_LOAD__USERZ": "3"}
    ),
    Case(
        "no number in the environment", ("run",), (r"AVALOAD_LOAD__USERS: .+",), environ={"AVALOAD_LOAD__USERS": "many"}
    ),
    Case("no users", ("run", "--users", "0"), (r"--users: .+",)),
    Case("users in words", ("run", "--users", "many"), (r"--users: .+",)),
    Case("bad duration", ("run", "--duration", "soon"), (r"--duration: .+soon.+",)),
    Case("no duration", ("run", "--duration", "0s"), (r"--duration: .+",)),
    Case("ramp beyond the end", ("run", "--duration", "5s", "--ramp", "6s"), (r"load: ramp is longer than duration",)),
    Case("unknown room", ("run", "--room", "carrier-pigeon"), (r"--room: .+",)),
    Case("unknown option", ("run", "--userz", "3"), (r".*--userz.*avaload.*--help.*",)),
    Case("no command", (), (r".*COMMAND.*",)),
    Case("unknown command", ("walk",), (r".*walk.*",)),
    Case("a mistyped command", ("rpeort", "x"), (r"rpeort: no such command \(did you mean report\?\).*",)),
    Case(
        "a mistyped option", ("plan", "x", "--usres", "3"), (r"--usres: no such option \(did you mean --users\?\).*",)
    ),
    Case("a mistyped rule", ("probe", "EXP1"), (r"EXP1: no such rule \(did you mean EXP-1\?\)",)),
    Case("the twin not as first word", ("--", "twin"), (r"twin: has to be the first word.*",)),
    Case("tag without value", ("run", "--tag", "build"), (r"--tag build: KEY=VALUE is needed",)),
    Case("bad URL", ("run", "--openai-base-url", "nonsense", *LOCAL[2:]), (r"--openai-base-url: .+",)),
    Case(
        "URL without a port number",
        ("run", "--openai-base-url", "http://127.0.0.1:x/v1", *LOCAL[2:]),
        (r"--openai-base-url: .+",),
    ),
    Case(
        "URL with a password",
        ("run", "--openai-base-url", "http://me:hunter2@127.0.0.1/v1", *LOCAL[2:]),
        (r"--openai-base-url: (?!.*hunter2).+",),
    ),
    Case("one endpoint", ("run", *LOCAL[:2]), (r"target: give both openai_base_url and avaturn_base_url, .+",)),
    Case("no keys", ("run", *LOCAL), (r"OPENAI_API_KEY is not set .+", r"AVATURN_API_KEY is not set .+")),
    Case(
        "one key",
        ("run", *REMOTE, "--live", "--max-sessions", "1"),
        (r"AVATURN_API_KEY is not set .+",),
        environ={"OPENAI_API_KEY": "sk-something-1234"},
    ),
    Case(
        "remote without --live",
        ("run", *REMOTE),
        (r"https://openai.invalid/v1, https://avaturn.invalid: .+--live.+",),
        environ=KEYS,
    ),
    Case(
        "remote backend name",
        ("run", "--openai-base-url", "http://127.0.0.1.example/v1", *LOCAL[2:]),
        (r".+not on this machine.+",),
        environ=KEYS,
    ),
    Case(
        "a proxy elsewhere",
        ("run", "--proxy", "http://proxy.invalid:3128"),
        (r"http://proxy.invalid:3128: .+--live.+",),
        environ=KEYS,
    ),
    Case("live without a bound", ("run", *REMOTE, "--live"), (r"--live needs --max-sessions N: .+",), environ=KEYS),
    Case(
        "live with a bound of none",
        ("run", "--live", "--max-sessions", "0"),
        (r"--max-sessions: .+",),
        environ=KEYS,
    ),
    Case("live without anything", ("run", "--live"), (r"--live needs .+", r"OPENAI_.+", r"AVATURN_.+")),
    Case("no CA file", ("run", "--ca-file", "nowhere.pem"), (r".*nowhere\.pem: .+",)),
    Case("a CA file that is none", ("run", "--ca-file", "{toml}"), (r".*scenario\.toml: .+",), toml="name = 'x'\n"),
    Case(
        "WAV that is none",
        ("run", "{toml}"),
        (r".+text\.wav: not a readable WAV file, but text",),
        toml=saying("{tmp}/text.wav"),
        prepare=lambda tmp: (tmp / "text.wav").write_text("hello"),
    ),
    Case("no WAV there", ("run", "{toml}"), (r".+gone\.wav: .+",), toml=saying("{tmp}/gone.wav")),
    Case(
        "an MP3 file without sound",
        ("run", "{toml}"),
        (r".+broken\.mp3: not a readable WAV file, but an MP3 file; `ffmpeg -i .+` makes one",),
        toml=saying("{tmp}/broken.mp3"),
        prepare=lambda tmp: (tmp / "broken.mp3").write_bytes(b"ID3\4" + bytes(500)),
    ),
    Case(
        "clip with a long pause",
        ("run", "{toml}"),
        (r"pause\.wav: pauses for 0\.\d\d s, but .+ 0\.50 s .+ silence_duration_ms .+",),
        toml=saying("{tmp}/pause.wav"),
        prepare=lambda tmp: tone(tmp / "pause.wav", pause_s=0.6),
    ),
    Case(
        "unknown turn",
        ("run", "{toml}"),
        (r".+:2: conversation\.turns\[1\]: kind must be one of say, .+, pause; got 'sing'.*",),
        toml='[[conversation.turns]]\nkind = "sing"\n',
    ),
    Case(
        "run directory in use",
        ("run", "--run-dir", "{tmp}/full"),
        (r".+full: exists and is not empty",),
        prepare=lambda tmp: ((tmp / "full").mkdir(), (tmp / "full" / "file").touch()),
    ),
    Case("a file as run directory", ("run", "--run-dir", "{toml}"), (r".*scenario\.toml.*: .+",), toml="name = 'x'\n"),
    Case(
        "run directory inside a file",
        ("run", "--run-dir", "{toml}/run"),
        (r".*scenario\.toml.*: .+",),
        toml="name = 'x'\n",
    ),
    Case(
        "half of TLS, and a login without password",
        ("run", "--metrics-cert", "nowhere.pem", "--metrics-user", "ops"),
        (
            r"output: metrics_cert and metrics_key belong together: .+",
            r"--metrics-user: AVALOAD_METRICS_PASSWORD .+",
        ),
    ),
    Case(
        "no certificate",
        ("run", "--metrics-cert", "nowhere.pem", "--metrics-key", "nowhere.pem"),
        (r"--metrics-cert: nowhere\.pem: No such file or directory",),
    ),
    Case("no port", ("run", "--metrics-port", "http"), (r"--metrics-port: .+",)),
    Case("no port of the web", ("run", "--web-port", "99999"), (r"--web-port: .+",)),
    Case("bad collector", ("run", "--otlp-endpoint", "nowhere"), (r"--otlp-endpoint: .+",)),
    Case("bad collector of metrics", ("run", "--otlp-metrics", "nowhere"), (r"--otlp-metrics: .+",)),
    Case(
        "collector with a query",
        ("run", "--otlp-endpoint", "http://127.0.0.1:4318/?a=b"),
        (r"--otlp-endpoint: .+",),
    ),
    Case("share of traces", ("run", "--trace-share", "2"), (r"--trace-share: .+",)),
    Case(
        "unknown indicator",
        ("run", "{toml}"),
        (r".+:2: slo\[1\]: unknown indicator 'mint\.p51' \(did you mean mint\.p.+\?\)",),
        toml='[[slo]]\nindicator = "mint.p51"\nmax = 1\n',
    ),
    Case(
        "unknown indicator in a file",
        ("run", "--slo", "{toml}"),
        (r".*slo\[1\]: unknown indicator .+",),
        toml='[[slo]]\nindicator = "mint.p51"\nmax = 1\n',
    ),
    Case("no SLO file", ("run", "--slo", "nowhere.toml"), (r"nowhere\.toml: .+",)),
    Case(
        "report of no run", ("report", "{tmp}/empty"), (r".+empty.*: .+",), prepare=lambda tmp: (tmp / "empty").mkdir()
    ),
    Case("compare of nothing", ("compare", "nowhere", "--to", "elsewhere"), (r".*nowhere: holds no journal.*",)),
    Case("compare with itself", ("compare", "x", "--to", "./x"), (r".*/x: is there twice; .+",)),
    Case("compare without a new run", ("compare", "x"), (r".*--to.*",)),
    Case("a margin in words", ("compare", "x", "--to", "y", "--margin", "small"), (r".*--margin: invalid share.*",)),
    Case("a baseline that is none", ("run", "--baseline", "nowhere"), (r"--baseline nowhere: holds no journal; .+",)),
    Case(
        "an objective of another scenario",
        ("run", "{toml}"),
        (r".+:\d+: slo\[1\]: unknown scenario 'sales'",),
        toml="[[slo]]\nindicator = 'create.p95'\nmax = 1\nscenario = 'sales'\n",
    ),
    *(
        Case(
            f"{name} for {command}",
            (command, *LOCAL, "--room", "none") if command == "run" else (command,),
            (rf"{name}: (?!.*something).+",),
            environ={**KEYS, **LOCAL_ENVIRON, name: value},
        )
        for command in ("run", "doctor")
        for name, value in (("OPENAI_API_KEY", "sk-something-1234\n"), ("AVATURN_API_KEY", "\u201csomething\u201d"))
    ),
    Case(
        "a trace that is no CSV",
        ("run", "--trace", "{tmp}/t.csv"),
        (r"--trace: .+t\.csv: not a CSV file: .+",),
        prepare=lambda tmp: (tmp / "t.csv").write_text("0\n" + "x" * 200_000),
    ),
    Case("report of nothing", ("report", "nowhere"), (r".*nowhere.*: .+",)),
    Case("session of no run", ("session", "nowhere", "1f"), (r".*nowhere.*: .+",)),
    Case("sweep of no run", ("sweep", "nowhere"), (r"nowhere: holds no journal; is it a run directory\?",)),
    Case("export of no run", ("export", "nowhere", "--otlp-endpoint", "http://127.0.0.1:4318"), (r".*nowhere.*: .+",)),
    Case("export to nowhere", ("export", "nowhere", "--otlp-endpoint", "nowhere"), (r".*--otlp-endpoint: .+",)),
    Case(
        "export of a bad share",
        ("export", "nowhere", "--otlp-endpoint", "http://127.0.0.1:1", "--trace-share", "x"),
        (r".*--trace-share.*",),
    ),
    Case("twin with an unknown knob", ("twin", "--set", "latency.mit=fixed:1"), (r"latency\.mit: unknown knob.+",)),
    Case("twin with an unknown option", ("twin", "--prot", "1"), (r".*--prot.*",)),
]


def refused(case: Case, watch: Path, tmp_path: Path) -> None:
    """Run it and hold it to what bad input gets."""

    def filled(text: str) -> str:
        return text.replace("{tmp}", str(tmp_path)).replace("{toml}", str(tmp_path / "scenario.toml"))

    if case.toml is not None:
        (tmp_path / "scenario.toml").write_text(filled(case.toml))
    case.prepare(tmp_path)
    log = tmp_path / "watch.log"
    log.touch()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    environ = {"PYTHONPATH": f"{watch}:{os.environ.get('PYTHONPATH', '')}", "WATCH_LOG": str(log), **case.environ}
    done = call(*map(filled, case.arguments), cwd=tmp_path, environ=environ)
    assert (done.code, done.out) == (2, ""), done
    assert len(done.err_lines) == len(case.says), done.err
    for line, pattern in zip(done.err_lines, case.says, strict=True):
        assert re.fullmatch(rf"avaload( twin)?: {pattern}", line), line
    assert log.read_text() == ""
    after = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.suffix not in (".out", ".err")}
    assert after == before
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_bad_input_is_a_line_per_problem_and_exit_2_and_nothing_happens(
    case: Case, watch: Path, tmp_path: Path
) -> None:
    refused(case, watch, tmp_path)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("option", ["--metrics-port", "--web-port"])
def test_a_port_in_use_is_bad_input(option: str, taken: int, watch: Path, tmp_path: Path) -> None:
    said = (rf"{option}: {taken} on 127\.0\.0\.1: Address already in use.*",)
    refused(Case(option, ("run", option, str(taken)), said), watch, tmp_path)


def test_the_watch_sees_what_is_started_and_reached(watch: Path, tmp_path: Path, taken: int) -> None:
    log = tmp_path / "watch.log"
    script = f"import socket, subprocess; subprocess.run(['true']); socket.create_connection(('127.0.0.1', {taken}))"
    environ = {**os.environ, "PYTHONPATH": str(watch), "WATCH_LOG": str(log)}
    subprocess.run([sys.executable, "-c", script], env=environ, check=True, timeout=30)
    seen = {line.split()[0] for line in log.read_text().splitlines()}
    assert {"subprocess.Popen", "socket.getaddrinfo", "socket.connect"} <= seen
