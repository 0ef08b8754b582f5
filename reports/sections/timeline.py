"""One session's events in order, for a person: what every evidence id of a report leads to."""

import re
from contextlib import suppress
from pathlib import Path

from loadtest import journal
from loadtest.criteria.words import plural
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import (
    Event,
    Failure,
    GoneChecked,
    LineMeasured,
    MediaMeasured,
    Observed,
    RemainsChanged,
    RuleChecked,
    SecretGivenBack,
    SecretMinted,
    SessionFinished,
    SessionStarted,
    StepFinished,
)
from loadtest.rules.refusals import given_back
from loadtest.system import disk
from loadtest.text import outlets
from reports.data.clocks import Anchors

_MANY = 10


def timeline(run_dir: Path, session_prefix: str) -> str:
    """The events of one session as a readable text, times in ms after its start.

    `session_prefix`: our session id (it is the trace id), whole or its beginning, or Avaturn's session id, whole.
    Raises ConfigError, one line, where no session or more than one has it, and JournalError where this is no run.
    """
    paths = journal.journals(run_dir)
    session = _resolve(paths, session_prefix.strip(), run_dir)
    rows: list[tuple[int, str, Event]] = []
    anchors = Anchors()
    for path in paths:
        started = journal.beginning(path)
        if started is None:
            continue
        anchors.add(started)
        needle = f'"session":"{session}"'.encode()
        with disk.open_read(path) as file:
            for line in journal.raw_lines(file):
                if needle not in line or not line.endswith(b"\n"):
                    continue
                with suppress(journal.JournalError):  # the report names lines that can't be read
                    event = journal.decode(line)
                    rows.append((event.t_ns + anchors.shift_ns((started.host, started.boot_id)), started.role, event))
    rows.sort(key=lambda row: row[0])
    return _table(session, rows)


def _resolve(paths: list[Path], text: str, run_dir: Path) -> str:
    """The full id. Lines are searched, not decoded: an hour of load has millions of them."""
    if not text:
        raise ConfigError("say which session: its id, the beginning of it, or Avaturn's id")
    ours = re.compile(rb'"session":"(' + re.escape(text.lower()).encode() + rb'[0-9a-f]*)"')
    at_target = f'_session_id":"{text}"'.encode()  # of either schema
    any_session = re.compile(rb'"session":"([0-9a-f]+)"')
    found: set[str] = set()
    for path in paths:
        with disk.open_read(path) as file:
            for line in journal.raw_lines(file):
                if match := ours.search(line) or (any_session.search(line) if at_target in line else None):
                    found.add(match[1].decode())
    if text.lower() in found:
        return text.lower()
    if not found:
        raise ConfigError(f"{run_dir}: no session has the id {text!r} or one that begins so")
    if len(found) > 1:
        shown = ", ".join(sorted(found)[:_MANY]) + (" …" if len(found) > _MANY else "")
        raise ConfigError(f"{run_dir}: {len(found)} sessions begin with {text!r}: {shown}")
    return found.pop()


def _table(session: str, rows: list[tuple[int, str, Event]]) -> str:
    events = [event for _, _, event in rows]
    begin_ns = next((t_ns for t_ns, _, event in rows if isinstance(event, SessionStarted)), rows[0][0])
    avaturn = next((e.target_session_id for e in events if isinstance(e, RemainsChanged) and e.target_session_id), "–")
    roles = {role for _, role, _ in rows}
    lines = [
        f"session  {session} (trace id)",
        f"avaturn  {avaturn}",
        *_headline(events),
        "",
        f"{'ms':>10} {'took ms':>10}  what",
    ]
    for t_ns, role, event in rows:
        took, what = _describe(event)
        said_by = f"  [{role}]" if len(roles) > 1 else ""
        took_ms = "" if took is None else f"{took / 1e6:.1f}"
        lines.append(f"{(t_ns - begin_ns) / 1e6:10.1f} {took_ms:>10}  {what}{said_by}")
    if not any(isinstance(event, SessionFinished) for event in events):
        lines.append(f"{'':>10} {'':>10}  (no end: still running, or its engine was killed)")
    return outlets.lines(lines) + "\n"


def _headline(events: list[Event]) -> list[str]:
    lines = []
    for event in events:
        if isinstance(event, SessionStarted):
            lines.append(f"scenario {event.scenario} · user {event.user} · {event.purpose}")
    changes = [event for event in events if isinstance(event, RemainsChanged)]
    if changes:
        lines.append(f"remains  {changes[-1].remains} ({changes[-1].reason})")
    return lines


def _validity(event: SecretMinted) -> str:
    if event.lives_s is None:
        return f"asked to be valid for {event.ttl_s} s; by our clock, the only one, it is for {event.told_s:.0f} s"
    asked = "" if event.lives_s == event.ttl_s else f", not for {event.ttl_s} s as asked"
    return f"valid for {event.lives_s:.0f} s{asked}"


def _describe(event: Event) -> tuple[int | None, str]:
    """How long it took in ns, where it has a length, and one line of words."""
    match event:
        case SessionStarted():
            return None, f"session started, {(event.t_ns - event.due_ns) / 1e6:.1f} ms after it was due"
        case SecretMinted():
            return None, f"secret minted, {_validity(event)}"
        case RemainsChanged():
            return None, f"remains: {event.remains} ({event.reason})"
        case Observed():
            return None, f"· {event.mark}{_turn(event.turn)}{_extra([('stamped late', event.lag_ns)])}"
        case MediaMeasured():
            lost = "" if event.packets_lost is None else f", {plural(event.packets_lost, 'packet')} lost"
            gap = "" if event.gap_max_ns is None else f", longest gap in speech {event.gap_max_ns / 1e6:.0f} ms"
            jitter = "" if event.jitter_ns is None else f", jitter {event.jitter_ns / 1e6:.1f} ms"
            dry = f"{plural(event.underruns, 'underrun')} ({event.stalled_ns / 1e6:.0f} ms)"
            unwritten = event.messages_unwritten
            untold = f", {plural(unwritten, 'app-message')} not written" if unwritten else ""
            ahead = f", {event.ahead_ns / 1e6:.0f} ms ahead of its time" if event.ahead_ns else ""
            return None, f"heard: {plural(event.frames, 'frame')} of audio, {dry}{gap}{jitter}{lost}{ahead}{untold}"
        case LineMeasured():
            said = f"{event.lost} of {plural(event.packets, 'packet')} lost, {event.held} held up"
            took = f"{event.delay_ns / 1e6:.0f} ms each, {event.delay_max_ns / 1e6:.0f} ms at most"
            dry = (
                f", {plural(event.underruns, 'underrun')} ({event.stalled_ns / 1e6:.0f} ms)" if event.underruns else ""
            )
            return None, f"the caller's line, {event.way}: {said}, {took}{dry}"
        case GoneChecked():
            status = "no answer" if event.http_status is None else f"http {event.http_status}"
            return (
                event.t_ns - event.deleted_ns,
                f"gone: {event.gone} ({plural(event.looks, 'look')}, the last: {status})",
            )
        case StepFinished():
            attempt = f" attempt {event.attempt}" if event.attempt > 1 else ""
            status = f" http {event.http_status}" if event.http_status is not None else ""
            times = [
                ("first audio after", event.first_audio_ns),
                ("dead air", event.dead_air_ns or None),
                ("both spoke for", event.talk_over_ns or None),
                ("in the target", event.server_ns),
                ("waited for our pool", event.pool_wait_ns or None),
                ("stamped late", event.lag_ns or None),
            ]
            clip = "" if event.clip is None else f" ({event.clip})"
            words = f"{event.step}{_turn(event.turn)}{clip}{attempt} {event.outcome}{status}{_extra(times)}"
            return event.t_ns - event.started_ns, words + _failure(event.failure)
        case SecretGivenBack():
            return None, f"given back: {given_back(event)}"
        case RuleChecked():
            return None, f"rule {event.rule}: {event.outcome}: {event.detail}"
        case SessionFinished():
            ended = f", ended by {event.ended_by}" if event.ended_by else ""
            gone = f", gone: {event.gone}" if event.gone else ""
            cut = ", cut off by the end of the run" if event.censored else ""
            words = f"session {event.outcome}{ended}{gone}, remains: {event.remains}{cut}"
            return event.t_ns - event.started_ns, words + _failure(event.failure)
        case _:
            return None, type(event).__name__


def _turn(turn: int | None) -> str:
    return "" if turn is None else f" {turn}"


def _extra(times_ns: list[tuple[str, int | None]]) -> str:
    found = [f"{words} {time_ns / 1e6:.1f} ms" for words, time_ns in times_ns if time_ns is not None]
    return f" ({', '.join(found)})" if found else ""


def _failure(failure: Failure | None) -> str:
    if failure is None:
        return ""
    detail = f": {failure.detail}" if failure.detail else ""
    return f"  ← {failure.step}/{failure.kind}/{failure.code}{detail}"
