"""How the twin behaves where the real services are slow, faulty or unknown: one frozen profile, and the seeded chance.

The latencies of `realistic` are PROTOCOL.md section 5.
"""

import math
import random
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LATENCY_POINTS = [
    "mint",
    "create",
    "sdk_session",
    "join",
    "stream_start",
    "session_created",
    "first_delta",
    "transcription",
    "delete",
]
FAULT_POINTS = ["mint", "create", "sdk_session", "delete", "sdk_session_after_delete"]
MUTANTS = {"TD-1-keeps-running": "DELETE answers 200 and the session goes on as if nothing had happened"}
_GONE_STATUSES = (401, 403, 404, 410)


class ProfileError(Exception):
    """The profile can't be used; `problems` has one line for each thing that is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same duration."""

    seconds: float = 0.0

    def draw(self, chance: random.Random) -> float:
        """Seconds."""
        return self.seconds


@dataclass(frozen=True, slots=True)
class LogNormal:
    """exp(N(mu, sigma)) seconds."""

    mu: float
    sigma: float

    def draw(self, chance: random.Random) -> float:
        """Seconds."""
        return chance.lognormvariate(self.mu, self.sigma)


Duration = Fixed | LogNormal


@dataclass(frozen=True, slots=True)
class Fault:
    """An HTTP status answered to a share (0 to 1) of the requests instead of doing what they ask."""

    status: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Every knob of `--set`; the defaults are the honest and instant twin."""

    latency: Mapping[str, Duration] = field(default_factory=dict)
    faults: Mapping[str, Fault] = field(default_factory=dict)
    mutants: frozenset[str] = frozenset()
    gone_status: int = 404
    """What the id and the token of an ended session answer."""
    answer_after: Duration | None = None
    """From the last voiced frame in the room to the first audible frame of the answer; None: as latency makes it."""
    answer_s: float = 2.0
    max_sessions: int | None = None
    """Sessions alive at once; above, create answers 429."""


_REALISTIC = {
    "latency.mint": "lognormal:-1.386,0.626",
    "latency.create": "lognormal:-1.204,0.668",
    "latency.sdk_session": "lognormal:-2.120,0.732",
    "latency.join": "lognormal:-0.223,0.557",
    "latency.stream_start": "lognormal:0.916,0.532",
    "latency.session_created": "lognormal:-1.204,0.596",
    "latency.first_delta": "lognormal:-0.693,0.532",
    "latency.transcription": "lognormal:-0.511,0.557",
    "latency.delete": "lognormal:-1.609,0.668",
}


def load(*, name: str, settings: Iterable[str]) -> Profile:
    """The profile `instant`, `realistic` or that of a TOML file, with KEY=VALUE settings on top.

    Raises ProfileError with all problems at once.
    """
    problems: list[str] = []
    knobs: list[tuple[str, str]] = []
    if name == "realistic":
        knobs += _REALISTIC.items()
    elif name != "instant":
        knobs += _from_file(Path(name), problems)
    for setting in settings:
        key, equals, value = setting.partition("=")
        if equals:
            knobs.append((key.strip(), value.strip()))
        else:
            problems.append(f"--set {setting}: must be KEY=VALUE")
    profile = _build(knobs, problems)
    if problems:
        raise ProfileError(problems)
    return profile


def _from_file(path: Path, problems: list[str]) -> list[tuple[str, str]]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"--profile {path}: {error.strerror or error}; known without a file: instant, realistic")
        return []
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"--profile {path}: not TOML: {error}")
        return []
    return list(_flattened(tables, ""))


def _flattened(table: Mapping[str, object], prefix: str) -> Iterable[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flattened(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield from ((prefix + key, str(each)) for each in value)
        else:
            yield prefix + key, str(value)


def _build(knobs: Iterable[tuple[str, str]], problems: list[str]) -> Profile:
    latency: dict[str, Duration] = {}
    faults: dict[str, Fault] = {}
    mutants: set[str] = set()
    plain = Profile()
    gone_status, answer_after, answer_s, max_sessions = plain.gone_status, plain.answer_after, plain.answer_s, None
    for key, value in knobs:
        group, _, point = key.partition(".")
        try:
            if group == "latency" and point in LATENCY_POINTS:
                latency[point] = _duration(value)
            elif group == "fault" and point in FAULT_POINTS:
                faults[point] = _fault(value)
            elif key == "mutant":
                mutants.add(_one_of(value, MUTANTS))
            elif key == "gone_status":
                gone_status = int(_one_of(value, [str(status) for status in _GONE_STATUSES]))
            elif key == "answer_after":
                answer_after = _duration(value)
            elif key == "answer_s":
                answer_s = _number(value, lowest=0.02, highest=600)
            elif key == "limit.sessions":
                max_sessions = int(_number(value, lowest=0, highest=1e9))
            else:
                problems.append(f"{key}: unknown knob{_hint(group)}")
        except ValueError as error:
            problems.append(f"{key}={value}: {error}")
    return Profile(
        latency=latency,
        faults=faults,
        mutants=frozenset(mutants),
        gone_status=gone_status,
        answer_after=answer_after,
        answer_s=answer_s,
        max_sessions=max_sessions,
    )


def _hint(group: str) -> str:
    points = {"latency": LATENCY_POINTS, "fault": FAULT_POINTS}.get(group)
    return f"; points: {', '.join(points)}" if points else ""


def _one_of(value: str, allowed: Iterable[str]) -> str:
    if value not in allowed:
        raise ValueError(f"must be one of {', '.join(allowed)}")
    return value


def _number(text: str, *, lowest: float, highest: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not lowest <= number <= highest:
        raise ValueError(f"must be a number from {lowest:g} to {highest:g}")
    return number


def _duration(text: str) -> Duration:
    kind, _, rest = text.partition(":")
    if kind == "fixed":
        return Fixed(_number(rest, lowest=0, highest=3600))
    mu, comma, sigma = rest.partition(",")
    if kind == "lognormal" and comma:
        return LogNormal(_number(mu, lowest=-20, highest=8), _number(sigma, lowest=0, highest=5))
    raise ValueError("must be fixed:SECONDS or lognormal:MU,SIGMA")


def _fault(text: str) -> Fault:
    status, colon, share = text.partition(":")
    if not colon:
        raise ValueError("must be STATUS:SHARE")
    return Fault(int(_number(status, lowest=400, highest=599)), _number(share, lowest=0, highest=1))


class Chance:
    """Draws latencies and faults. Each point has its own stream, so that one point's use never shifts another's."""

    def __init__(self, profile: Profile, *, seed: int) -> None:
        self._profile = profile
        self._seed = seed
        self._streams: dict[str, random.Random] = {}

    def latency_s(self, point: str) -> float:
        """How long this point takes this time, in seconds."""
        duration = self._profile.latency.get(point)
        return 0.0 if duration is None else duration.draw(self._stream(point))

    def answer_after_s(self) -> float | None:
        """The whole pause before this answer, in seconds; None: not set."""
        duration = self._profile.answer_after
        return None if duration is None else duration.draw(self._stream("answer_after"))

    def fault(self, point: str) -> int | None:
        """The status that this request gets instead of an answer, if it is one of the unlucky."""
        fault = self._profile.faults.get(point)
        if fault is None or self._stream(f"fault.{point}").random() >= fault.share:
            return None
        return fault.status

    def _stream(self, name: str) -> random.Random:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = random.Random(f"{self._seed}:{name}")
        return stream
