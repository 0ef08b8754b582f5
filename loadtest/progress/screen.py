"""What a terminal shows of a run each second, and the same as one line for whoever reads a log. Pure: a glance in, rows
of text out; each row fits the width, all of them the height, whatever there is to tell."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.text import Text

from loadtest.criteria.objectives import Standing, State
from loadtest.criteria.slo import COUNT, PER_MINUTE, SECONDS, SHARE, Slo
from loadtest.criteria.words import amount, bound, plural
from loadtest.criteria.words import counted as samples
from loadtest.progress.glance import Glance, Times
from loadtest.text.outlets import LEAST_WIDTH, line, terminal

_BAR: Final = 24
_NAMES: Final = 14
_MARKS: Final = {State.MET: ("✓", "green"), State.MISSED: ("✗", "red"), State.OPEN: ("·", "")}
_URGENCY: Final = (State.MISSED, State.OPEN, State.MET)
_STATES: Final = max(map(len, State))
_FITNESS: Final = {"valid": "", "suspect": "magenta", "invalid": "red"}
_LOW: Final = 30
_REASON: Final = 3
_FAILURES: Final = 3
"""So many rows at most of why the generator isn't fit; so many failures have room before objectives have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is known beforehand. `title`: what is done to whom. `duration_s`: None where the end is no matter of time;
    `grace_s`: what is in progress then gets so long. `slos`: as `Settings.judged`. `load`: False of active checks."""

    title: str
    duration_s: float | None
    grace_s: float
    slos: tuple[Slo, ...] = ()
    load: bool = True


def safe(text: str) -> str:
    """One line of it, of which the terminal obeys nothing."""
    return terminal(line(text))


def clock(now: Glance, plan: Plan) -> str:
    """How far the run is, and what is left."""
    if plan.duration_s is None:
        return f"{_minutes(now.elapsed_s)} so far"
    left_s = plan.duration_s - now.elapsed_s
    if left_s > 0:
        return f"{_minutes(now.elapsed_s)} of {_minutes(plan.duration_s)}, {_minutes(left_s)} left"
    return f"finishing what is in progress: {_minutes(-left_s)} of at most {_minutes(plan.grace_s)}"


def plain(now: Glance, plan: Plan, *, level: str | None = None) -> str:
    """One line."""
    words = [level or clock(now, plan)]
    if plan.load:
        words += [f"active {now.active:,}", f"done {now.ok:,}", f"failed {now.failed:,}"]
        words += [f"{what} {count:,}" for what, count, _ in _also(now)]
        if now.first_audio.count:
            words.append(f"first audio p95 {_time(now.first_audio, now.first_audio.p95_s)}")
        if missed := sum(standing.state is State.MISSED for standing in now.objectives):
            words.append(f"{plural(missed, 'objective')} missed so far")
    else:
        words.append(f"{plural(now.open)} open at the target")
    if now.rules_broken:
        words.append(f"rules broken {', '.join(now.rules_broken)}")
    if now.fitness[0] != "valid":
        words.append(f"generator {_reason(now)}")
    return safe(" · ".join(words))


def rows(now: Glance, plan: Plan, *, hint: str, width: int, height: int, level: str | None = None) -> list[Text]:
    """`level`: where a search for the limit is; `hint`: what can be done now."""
    head = [Text(safe(plan.title), style="bold"), _progress(now, plan, level)]
    head += [Text(), *_sessions(now, plan), *([Text(), *_times(now)] if plan.load else [])]
    tail = [Text(), *_rules(now), *_generator(now, width, most=_REASON if height > _LOW else _REASON - 1)]
    tail.append(Text(safe(hint), style="dim"))
    room = height - len(head) - len(tail)
    objectives = _objectives(now, plan, width) if plan.load else []
    failures = [_failure(each) for each in now.failures]
    for_failures = min(_FAILURES, len(failures)) + 2 if failures else 0
    listed = _listed(_so_far(now), objectives, room - for_failures, more=len(plan.slos) - len(objectives))
    title = "failures, so far: step · kind · code"
    listed += _listed(title, failures, room - len(listed), more=now.more_failures)
    found = [*head, *listed, *tail][: max(1, height)]
    for each in found:
        each.truncate(max(LEAST_WIDTH, width), overflow="ellipsis")
    return found


def _progress(now: Glance, plan: Plan, level: str | None) -> Text:
    if level is not None or plan.duration_s is None:
        return Text(safe(level or clock(now, plan)))
    full = min(_BAR, int(_BAR * now.elapsed_s / plan.duration_s))
    return Text.assemble(("━" * full, "green"), ("─" * (_BAR - full), "dim"), "  ", clock(now, plan))


def _sessions(now: Glance, plan: Plan) -> list[Text]:
    if not plan.load:
        return [_row("checks", [(f"{plural(now.open)} open at the target", "")])]
    of = f" of {now.target:,}" if now.target else ""
    share = f" ({amount(now.failed / (now.ok + now.failed), SHARE)})" if now.failed else ""
    parts = [(f"{now.active:,} active{of}", ""), (f"{now.ok:,} done", "")]
    parts += [(f"{now.failed:,} failed{share}", "red" if now.failed else ""), (f"{now.rates[1]:.1f} ended/s", "")]
    also = [(f"{count:,} {what}", style) for what, count, style in _also(now)]
    return [_row("sessions", parts), *([_row("", also)] if also else [])]


def _also(now: Glance) -> list[tuple[str, int, str]]:
    """What else became of sessions, without what is zero."""
    found = [
        ("failed by the generator", now.generator_failed, "red"),
        ("left behind", now.leaked, "red"),
        ("doubtful", now.doubtful, "magenta"),
        ("unknown", now.unknown, "magenta"),
        ("never started", now.dropped, "magenta"),
        ("cancelled", now.cancelled, ""),
    ]
    return [each for each in found if each[1]]


def _times(now: Glance) -> list[Text]:
    found = [Text(f"{'last 10 s':<{_NAMES}}{'p50':>9}  {'p95':>9}  {'samples':>9}", style="bold")]
    for name, times in (("set-up", now.setup), ("first audio", now.first_audio)):
        p50, p95 = _time(times, times.p50_s), _time(times, times.p95_s)
        found.append(Text(f"{name:<{_NAMES}}{p50:>9}  {p95:>9}  {times.count:>9,}"))
    return found


def _time(times: Times, value_s: float | None) -> str:
    """Of buckets: what is below the first edge or above the last isn't known more exactly."""
    if not times.count:
        return "–"
    if value_s is None:
        return f"> {amount(times.last_s, SECONDS)}"
    if value_s <= times.first_s:
        return f"< {amount(times.first_s, SECONDS)}"
    return f"≈ {amount(float(f'{value_s:.2g}'), SECONDS)}"


def _so_far(now: Glance) -> str:
    counts = [(state, sum(each.state is state for each in now.objectives)) for state in _URGENCY]
    return f"objectives: {', '.join(f'{count} {state}' for state, count in counts if count)}"


def _objectives(now: Glance, plan: Plan, width: int) -> list[Text]:
    """Those that are missed come first."""
    both = sorted(zip(plan.slos, now.objectives, strict=False), key=lambda each: _URGENCY.index(each[1].state))
    counts = [counted(slo, standing) for slo, standing in both]
    wide = max(map(len, counts), default=0)
    found = []
    for (slo, standing), words in zip(both, counts, strict=True):
        mark, style = _MARKS[standing.state]
        name = Text(safe(f"{slo.name} {bound(slo.max is None, slo.objective, slo.unit)}"))
        name.truncate(max(LEAST_WIDTH, width - wide - _STATES - 6), overflow="ellipsis", pad=True)
        found.append(Text.assemble((mark, style), " ", name, "  ", words.rjust(wide), "  ", (standing.state, style)))
    return found


def counted(slo: Slo, standing: Standing) -> str:
    """How many samples an objective has, and how many speak against it."""
    if slo.unit == COUNT:
        return f"{standing.beyond:,}"
    if slo.unit == PER_MINUTE:
        return f"{standing.beyond:,} in {samples(standing.count, slo.unit)}"
    if not standing.count:
        return "no samples"
    what = "bad" if slo.is_ratio else "above" if slo.min is None else "below"
    where = f" in {slo.window_s:g} s" if slo.window_s is not None else ""
    return f"{standing.beyond:,} of {standing.count:,} {what}{where}"


def _failure(row: tuple[str, str, str, int]) -> Text:
    *words, count = row
    return Text.assemble(f"{count:>7,} × ", (safe(" · ".join(map(str, words))), "red"))


def _listed(title: str, found: Sequence[Text], room: int, *, more: int = 0) -> list[Text]:
    """A list with its title, and how much more there is."""
    room -= 2
    if not found or room < 1:
        return []
    shown = found if len(found) <= room and not more else found[: max(0, room - 1)]
    more += len(found) - len(shown)
    rest = [Text(f"  and {more:,} more", style="dim")] if more else []
    return [Text(), Text(title, style="bold"), *shown, *rest]


def _rules(now: Glance) -> list[Text]:
    return [_row("rules broken", [(", ".join(now.rules_broken), "red")])] if now.rules_broken else []


def _row(name: str, parts: Iterable[tuple[str, str]]) -> Text:
    text = Text(f"{name:<{_NAMES}}")
    for place, (words, style) in enumerate(parts):
        text.append(" · " if place else "")
        text.append(safe(words), style=style)
    return text


def _generator(now: Glance, width: int, *, most: int) -> list[Text]:
    """Its state, and why, in as many rows as that takes."""
    style = _FITNESS[now.fitness[0]]
    found = textwrap.wrap(safe(_reason(now)), max(LEAST_WIDTH, width - _NAMES), max_lines=most, placeholder=" …")
    return [_row("" if place else "generator", [(words, style)]) for place, words in enumerate(found)]


def _reason(now: Glance) -> str:
    outcome, because = now.fitness
    return f"{outcome}: {because}" if because else outcome


def _minutes(seconds: float) -> str:
    """As a clock shows it."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02} h"
