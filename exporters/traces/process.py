"""Spans of a run from its journals, while it runs or later:
`python -m exporters.traces.process RUN_DIR --otlp-endpoint URL`.

A process of its own: spans cost some 20 µs each, which in the engine would be late audio and in Locust late arrivals.
Whole sessions are kept or left out (`tail.py`). Nothing here can hold up the run: the queue is bounded, what doesn't
get out is counted, and the run's end waits 2 s at most (`companions.exporters`).
"""

import argparse
import contextlib
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from opentelemetry.sdk.resources import Resource

from exporters.traces import run_span, trace_counts
from exporters.traces.collector import endpoint_url, last
from exporters.traces.conventions import Facts, facts
from exporters.traces.otlp import Sender
from exporters.traces.spans import died, resource, spans
from exporters.traces.tail import TailSampler
from exporters.traces.trace_counts import Counts
from loadtest.config.run_dir import read_or_nothing
from loadtest.errors.exceptions import ConfigError, HarnessError
from loadtest.errors.exit_codes import Exit
from loadtest.errors.kinds import Kind
from loadtest.events.kinds import Event, SessionFinished, SessionStarted
from loadtest.journal import Follower, JournalError, Source, journals, not_a_run
from loadtest.secrecy.redact import redact
from loadtest.text.outlets import keep_safe, line

_POLL_S: Final = 0.2
_APPEAR_S: Final = 60.0
_FLUSH_S: Final = 1.0
_STOPPED_S: Final = 0.3
"""The same after SIGTERM: whoever sends it is at the end of his patience."""
_TELL_S: Final = 1.0
_MAX_BUFFERED: Final = 500_000
"""Events of unfinished sessions held at once, some 200 MB; above it the oldest session is given up."""


@dataclass(slots=True)
class _Buffer:
    """A session that goes on: what it said, where, and that file's clock when it began."""

    started: SessionStarted
    source: Source
    offset_ns: int
    events: list[Event] = field(default_factory=list)


def facts_of(run_dir: Path) -> Facts:
    """From the run's settings.json, as far as it can be read."""
    written = read_or_nothing(run_dir)
    known = Facts() if written.settings is None else facts(written.settings)
    return replace(known, version=written.version, started_at=written.started_at)


class _Sessions:
    """Events of sessions until their end, and then their spans to the sender."""

    def __init__(self, sender: Sender, sampler: TailSampler, facts: Facts) -> None:
        self.counts = Counts()
        self._sender, self._sampler, self._facts = sender, sampler, facts
        self._buffers: OrderedDict[str, _Buffer] = OrderedDict()
        self._buffered = 0
        self._late: list[SessionFinished] = []
        self._resources: dict[str, Resource] = {}

    def add(self, source: Source, event: Event) -> None:
        if type(event) is SessionStarted:
            self._buffers[event.session] = _Buffer(event, source, source.offset_ns)
            return
        if type(event) is SessionFinished:
            if event.failure is not None and event.failure.kind is Kind.ENGINE_DIED:
                # Not the engine's word: it stands in another file than the session's events, which may be read later.
                self._late.append(event)
            else:
                self._finish(event)
            return
        buffer = self._buffers.get(getattr(event, "session", ""))
        if buffer is not None:
            buffer.events.append(event)
            self._buffered += 1
            while self._buffered > _MAX_BUFFERED:
                _, oldest = self._buffers.popitem(last=False)
                self._buffered -= len(oldest.events)
                self.counts.incomplete += 1

    def take_late(self) -> list[SessionFinished]:
        """Ends that were read since the last call; give them to `finish_late` when every file was read once more."""
        late, self._late = self._late, []
        return late

    def finish_late(self, late: Sequence[SessionFinished]) -> None:
        """End those that their engine did not end itself before it died."""
        for finished in late:
            if finished.session in self._buffers:
                self._finish(finished)

    def end(self) -> None:
        """No more events. Sessions without an end: their engine was killed, if it no longer holds its file."""
        for buffer in list(self._buffers.values()):
            if buffer.source.finished or buffer.source.unlocked:
                self._finish(died(buffer.started, buffer.events))
            else:
                self.counts.incomplete += 1

    def _finish(self, finished: SessionFinished) -> None:
        buffer = self._buffers.pop(finished.session, None)
        if buffer is None or buffer.source.started is None:
            self.counts.incomplete += 1
            return
        self._buffered -= len(buffer.events)
        if not self._sampler.keeps(buffer.started, buffer.events, finished):
            self.counts.not_sampled += 1
            return
        run = buffer.source.started
        if run.host not in self._resources:
            known = self._facts
            self._resources[run.host] = resource(run, version=known.version, started_at=known.started_at)
        self.counts.sessions += 1
        self._sender.put(
            spans(
                buffer.started,
                buffer.events,
                finished,
                run=run,
                offset_ns=buffer.offset_ns,
                resource=self._resources[run.host],
                facts=self._facts,
            )
        )


def export(
    run_dir: Path,
    *,
    otlp_endpoint: str,
    follow: bool,
    files: Sequence[Path] | None = None,
    share: float = 1.0,
    stop: threading.Event | None = None,
) -> Counts:
    """Send the spans of a run; with `follow` as its sessions end, until the run is over or `stop` is set. `files`: of
    these journals; None: of those that count.

    Raises ConfigError for a bad endpoint and JournalError where there are no journals (with `follow`: after a minute)
    or all are of another version. An endpoint that is down, hung or slow raises nothing: it shows in `dropped`. With
    `follow` the counts so far are in the run directory, for /metrics and the report.
    """
    stop = stop or threading.Event()
    stop_by = float("inf")
    appear_by = time.monotonic() + (_APPEAR_S if follow else 0)
    if files is None and not follow:
        files = journals(run_dir)
    follower = Follower(run_dir, files)
    with Sender(endpoint_url(otlp_endpoint), patient=not follow, stop=stop) as sender:
        sessions = _Sessions(sender, TailSampler.of_run(run_dir, share), facts_of(run_dir))
        told_at = float("-inf")

        def tell() -> Counts:
            counts = sessions.counts
            counts.spans, counts.dropped_by = sender.sent, dict(sender.dropped_by)
            counts.unread, counts.bad_lines = follower.unread, follower.bad_lines
            counts.last = last(sender.why)
            if follow:
                with contextlib.suppress(OSError):  # a full disk: the spans go out all the same
                    trace_counts.write(run_dir, counts)
            return counts

        while True:
            if time.monotonic() - told_at > _TELL_S:
                told_at = time.monotonic()
                tell()
            late = sessions.take_late()
            for source, event in follower.read():
                sessions.add(source, event)
                if stop.is_set():
                    stop_by = min(stop_by, time.monotonic() + _STOPPED_S)
                    if time.monotonic() > stop_by - _STOPPED_S / 2:  # the rest of the time is for sending
                        break
            sessions.finish_late(late)
            if follower.empty and time.monotonic() >= appear_by:
                raise JournalError(not_a_run(run_dir))
            if not follow or stop.is_set() or (not follower.empty and follower.over):
                break
            stop.wait(_POLL_S)
        sessions.finish_late(sessions.take_late())
        sessions.end()
        if stop.is_set():
            stop_by = min(stop_by, time.monotonic() + _STOPPED_S)
        sender.close(min(_FLUSH_S, max(0.0, stop_by - time.monotonic())))
        return tell()


def run(run_dir: Path, *, otlp_endpoint: str, share: float, follow: bool, files: Sequence[Path] | None = None) -> Exit:
    """Export until done or told to stop by a signal; `files` as of `export`. Prints one line; Exit.INVALID where spans
    of a finished run did not get out, its own among them. Raises what `export` does, and ConfigError for a share that
    is none."""
    if not 0 <= share <= 1:
        raise ConfigError("--trace-share: must be from 0 to 1")
    endpoint = endpoint_url(otlp_endpoint)  # before the run is looked at: a slip in it is said at once
    stop = threading.Event()

    def on_signal(number: int, _frame: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)  # the second one kills

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    counts = export(run_dir, otlp_endpoint=otlp_endpoint, follow=follow, files=files, share=share, stop=stop)
    own = None if follow else run_span.send(run_dir, endpoint)
    print(counts.line() + "; the run's own span was not taken" * (own is False), flush=True)
    return Exit.INVALID if (counts.dropped and not follow) or own is False else Exit.PASS


def main(argv: Sequence[str] | None = None) -> int:
    """The process of a run; exit 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m exporters.traces.process",
        description="Send the spans of a run to an OTLP/HTTP endpoint.",
        epilog="Example: python -m exporters.traces.process runs/20260102-quick --otlp-endpoint http://127.0.0.1:4318",
    )
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--otlp-endpoint", required=True, metavar="URL")
    parser.add_argument("--follow", action="store_true", help="follow a run that goes on, until it is over")
    parser.add_argument(
        "--trace-share",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of sessions that neither failed nor were slow nor broke a rule",
    )
    parser.add_argument("--run-alone", action="store_true", help="the span of the run itself, once it has a report")
    options = parser.parse_args(argv)
    try:
        if options.run_alone:
            return Exit.PASS if run_span.send(options.run_dir, endpoint_url(options.otlp_endpoint)) else Exit.INVALID
        return run(
            options.run_dir, otlp_endpoint=options.otlp_endpoint, share=options.trace_share, follow=options.follow
        )
    except HarnessError as error:
        print(f"avaload: {line(redact(str(error)))}", file=sys.stderr)
        return Exit.BAD_INPUT


if __name__ == "__main__":
    keep_safe()
    sys.exit(main())
