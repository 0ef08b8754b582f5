import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from exporters.traces.collector import endpoint_url
from exporters.traces.process import export
from exporters.traces.trace_counts import Counts
from loadtest.cli import main
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import AnswerEnd, Event, MediaMeasured, Remains, Step, StepFinished
from loadtest.journal import Journal, JournalError, encode
from tests.exporters.traces.receiver import Receiver, attributes
from tests.exporters.traces.script import (
    WALL_S,
    S,
    health,
    killed,
    run_finished,
    run_started,
    session,
    session_id,
    span_id,
)


def write(run_dir: Path, name: str, *events: Event) -> None:
    with Journal(run_dir / "journal" / name) as journal:
        for event in events:
            journal.write(encode(event))


def by_id(spans: list[Span]) -> dict[str, Span]:
    return {span.span_id.hex(): span for span in spans}


def export_now(run_dir: Path, receiver: Receiver, share: float = 1.0) -> Counts:
    return export(run_dir, otlp_endpoint=receiver.url, follow=False, share=share)


def test_a_session_becomes_one_whole_trace_with_the_ids_and_times_of_its_events(tmp_path: Path) -> None:
    write(tmp_path, "engine.jsonl", run_started(), *session(1), run_finished())
    with Receiver() as receiver:
        counts = export_now(tmp_path, receiver)
    assert (counts.sessions, counts.spans, counts.dropped) == (1, 7, 0)
    assert receiver.paths == ["/v1/traces"]
    assert receiver.resources[0]["service.name"] == "avaload"
    assert receiver.resources[0]["avaload.run.id"] == "run-1"
    (trace,) = receiver.traces().items()
    assert trace[0] == session_id(1)
    found = {span.name: span for span in trace[1]}
    root, converse = span_id(1, 0), span_id(1, 4)
    assert {name: (span.span_id.hex(), span.parent_span_id.hex()) for name, span in found.items()} == {
        "avaload.session": (root, ""),
        "avaload.step mint": (span_id(1, 1), root),
        "avaload.step create": (span_id(1, 2), root),
        "avaload.step connect": (span_id(1, 3), root),
        "avaload.step converse": (converse, root),
        "avaload.turn": (span_id(1, 5), converse),
        "avaload.step delete": (span_id(1, 6), root),
    }
    start = (WALL_S + 1) * S
    lengths = {n: (s.start_time_unix_nano - start, s.end_time_unix_nano - start) for n, s in found.items()}
    assert lengths["avaload.session"] == (0, 3_000_000_000)
    assert lengths["avaload.step create"] == (100_000_000, 300_000_000)
    assert lengths["avaload.turn"] == (700_000_000, 2_600_000_000)


def test_a_session_says_what_it_heard_and_a_turn_in_the_words_of_genai(tmp_path: Path) -> None:
    heard = MediaMeasured(
        t_ns=4 * S, session=session_id(1), frames=100, underruns=1, stalled_ns=S // 4, gap_max_ns=S // 2, packets_lost=3
    )
    events = [
        replace(event, turn_kind="barge_in", barge_in_ns=S // 5, answer=AnswerEnd.WHOLE)
        if isinstance(event, StepFinished) and event.step is Step.TURN
        else event
        for event in session(1)
    ]
    write(tmp_path, "engine.jsonl", run_started(), *events[:-1], heard, events[-1], run_finished())
    with Receiver() as receiver:
        export_now(tmp_path, receiver)
    found = {span.name: attributes(span.attributes) for span in receiver.spans}
    prefix = "avaload.media."
    assert {name: value for name, value in found["avaload.session"].items() if name.startswith(prefix)} == {
        prefix + "frames": 100,
        prefix + "underruns": 1,
        prefix + "stalled_s": 0.25,
        prefix + "gap_max_s": 0.5,
        prefix + "packets_lost": 3,
    }
    assert found["avaload.turn"] == {
        "avaload.step": "turn",
        "avaload.outcome": "ok",
        "avaload.turn.index": 0,
        "avaload.turn.kind": "barge_in",
        "avaload.time_to_first_audio_s": 0.8,
        "avaload.barge_in_s": 0.2,
        "avaload.answer": "whole",
        "gen_ai.operation.name": "realtime_inference",
        "gen_ai.conversation.id": session_id(1),
        "gen_ai.output.type": "speech",
        "gen_ai.response.finish_reasons": ["stop"],
    }


def test_spans_say_what_happened_in_closed_words(tmp_path: Path) -> None:
    write(tmp_path, "engine.jsonl", run_started(process=3), *session(1), run_finished())
    with Receiver() as receiver:
        export_now(tmp_path, receiver)
    found = {span.name: attributes(span.attributes) for span in receiver.spans}
    assert found["avaload.session"] == {
        "session.id": session_id(1),
        "avaload.run.id": "run-1",
        "avaload.scenario": "support",
        "avaload.worker": 3,
        "avaload.purpose": "load",
        "avaload.outcome": "ok",
        "avaload.remains": "nothing",
        "avaload.censored": False,
        "avaload.lateness_s": 0.004,
        "avaload.gone": "confirmed",
        "avaload.ended_by": "delete",
        "avaload.target_session.id": "avaturn-1",
    }
    assert found["avaload.step create"] == {
        "avaload.step": "create",
        "avaload.outcome": "ok",
        "http.response.status_code": 201,
    }
    assert found["avaload.turn"]["avaload.time_to_first_audio_s"] == 0.8
    assert found["avaload.turn"]["avaload.turn.index"] == 0


def test_marks_are_events_of_the_span_that_they_fell_into(tmp_path: Path) -> None:
    write(tmp_path, "engine.jsonl", run_started(), *session(1), run_finished())
    with Receiver() as receiver:
        export_now(tmp_path, receiver)
    marks = {span.name: [event.name for event in span.events] for span in receiver.spans if span.events}
    assert marks == {
        "avaload.session": ["gone_checked"],
        "avaload.step connect": ["sdk_session", "joined", "first_frame"],
        "avaload.turn": ["speech_start", "speech_end", "first_audio"],
        "avaload.step converse": ["avatar_started"],
    }
    (turn,) = [span for span in receiver.spans if span.name == "avaload.turn"]
    assert turn.events[1].time_unix_nano == WALL_S * S + 2_200_000_000


def test_a_failure_is_an_error_with_its_code_and_redacted_detail(tmp_path: Path) -> None:
    write(tmp_path, "engine.jsonl", run_started(), *session(1, turn_fails=True), run_finished())
    with Receiver() as receiver:
        export_now(tmp_path, receiver)
    failed = {
        span.name: (attributes(span.attributes)["error.type"], span.status.message)
        for span in receiver.spans
        if span.status.code == Status.STATUS_CODE_ERROR
    }
    assert failed == dict.fromkeys(
        ["avaload.session", "avaload.step converse", "avaload.turn"], ("no_answer", "silent for 5 s")
    )


def test_each_file_is_dated_by_its_own_clock_pairs_and_each_session_by_one(tmp_path: Path) -> None:
    # A clock that was set back by 5 s in the middle of the second session.
    skewed = replace(health(t_ns=2 * S), wall_ns=(WALL_S + 95) * S)
    first, second = session(1), session(2, at_s=3)
    write(tmp_path, "a.jsonl", run_started(wall_ns=(WALL_S + 100) * S), *first, *second[:6], skewed, *second[6:])
    write(tmp_path, "b.jsonl", run_started(process=1), *session(3), run_finished())
    with Receiver() as receiver:
        export_now(tmp_path, receiver)
    spans = by_id(receiver.spans)
    starts = [spans[span_id(number, 0)].start_time_unix_nano for number in (1, 2, 3)]
    assert starts == [(WALL_S + 101) * S, (WALL_S + 103) * S, (WALL_S + 1) * S]
    assert spans[span_id(2, 0)].end_time_unix_nano == (WALL_S + 106) * S


def test_every_failed_session_is_kept_and_a_share_of_the_rest(tmp_path: Path) -> None:
    good = [session(number) for number in range(1, 21)]
    bad = [session(number, turn_fails=True) for number in range(21, 26)]
    write(tmp_path, "engine.jsonl", run_started(), *[e for events in good + bad for e in events], run_finished())
    with Receiver() as receiver:
        counts = export_now(tmp_path, receiver, share=0.0)
    assert receiver.traces().keys() == {session_id(number) for number in range(21, 26)}
    assert all(len(spans) == 7 for spans in receiver.traces().values())
    assert (counts.sessions, counts.not_sampled) == (5, 20)


def test_a_session_whose_engine_was_killed_is_a_whole_failed_trace(tmp_path: Path) -> None:
    turn_done = session(1)[:15]  # its converse step never finished
    write(tmp_path, "z-engine.jsonl", run_started(), *turn_done)
    write(tmp_path, "a-load.jsonl", run_started(role="load"), killed(1, remains=Remains.LEAKED), run_finished())
    with Receiver() as receiver:
        counts = export_now(tmp_path, receiver)
    assert counts.incomplete == 0
    spans = by_id(receiver.spans)
    cut = spans[span_id(1, 4)]
    assert cut.name == "avaload.step converse"
    assert attributes(cut.attributes)["error.type"] == "engine_died"
    assert spans[span_id(1, 5)].parent_span_id == cut.span_id
    assert attributes(spans[span_id(1, 0)].attributes)["avaload.remains"] == "leaked"
    assert spans[span_id(1, 0)].end_time_unix_nano == (WALL_S + 9) * S


def test_a_session_without_a_last_word_is_exported_as_died_once_its_file_is_free(tmp_path: Path) -> None:
    write(tmp_path, "engine.jsonl", run_started(), *session(1)[:10])
    with Receiver() as receiver:
        export_now(tmp_path, receiver)
    root = by_id(receiver.spans)[span_id(1, 0)]
    assert attributes(root.attributes)["error.type"] == "engine_died"
    assert root.status.code == Status.STATUS_CODE_ERROR


def test_a_session_that_still_runs_is_not_exported(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal" / "engine.jsonl") as journal, Receiver() as receiver:
        for event in (run_started(), *session(1)[:10]):
            journal.write(encode(event))
        counts = export_now(tmp_path, receiver)
    assert (counts.incomplete, counts.sessions, receiver.spans) == (1, 0, [])


class Exporting:
    """`export` in a thread."""

    def __init__(self, run_dir: Path, url: str, *, follow: bool = True) -> None:
        self.stop = threading.Event()
        self.counts: Counts | None = None
        self._run: Callable[[], Counts] = lambda: export(run_dir, otlp_endpoint=url, follow=follow, stop=self.stop)
        self._thread = threading.Thread(target=self._export, daemon=True)
        self._thread.start()

    def _export(self) -> None:
        self.counts = self._run()

    def end(self, *, within_s: float = 20) -> Counts:
        self._thread.join(within_s)
        assert self.counts is not None, "it did not end"
        return self.counts


def test_following_reads_files_as_they_grow_and_appear_and_ends_with_the_run(tmp_path: Path) -> None:
    with Receiver() as receiver:
        following = Exporting(tmp_path, receiver.url)  # before anything is there
        with Journal(tmp_path / "journal" / "engine-0.jsonl") as one:
            lines = b"".join(map(encode, (run_started(), *session(1))))
            one.write(lines[:-20])  # a line that is cut for now
            with Journal(tmp_path / "journal" / "engine-1.jsonl") as two:
                for event in (run_started(process=1), *session(2), run_finished()):
                    two.write(encode(event))
                assert receiver.wait(lambda: len(receiver.spans) == 7)
                assert receiver.traces().keys() == {session_id(2)}
            one.write(lines[-20:])
            assert receiver.wait(lambda: len(receiver.spans) == 14)
            assert receiver.traces().keys() == {session_id(1), session_id(2)}
            assert following.counts is None  # the first file is still held
            for event in session(3):
                one.write(encode(event))
        counts = following.end()  # and is closed without a last word
    assert (counts.sessions, counts.spans, counts.dropped) == (3, 21, 0)


def test_a_file_whose_writer_died_before_its_first_word_does_not_hold_the_end(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl")
    write(tmp_path, "b.jsonl", run_started(), *session(1), run_finished())
    with Receiver() as receiver:
        assert Exporting(tmp_path, receiver.url).end().spans == 7


def test_an_engine_that_is_killed_while_it_is_followed_gives_whole_failed_traces(tmp_path: Path) -> None:
    with Receiver() as receiver, Journal(tmp_path / "journal" / "a-load.jsonl") as load:
        load.write(encode(run_started(role="load")))
        exporting = Exporting(tmp_path, receiver.url)
        write(tmp_path, "z-engine.jsonl", run_started(), *session(1)[:10])
        load.write(encode(killed(1, remains=Remains.DOUBTFUL)))
        assert receiver.wait(lambda: len(receiver.spans) == 4)
        load.write(encode(run_finished()))
        counts = exporting.end()
    root = by_id(receiver.spans)[span_id(1, 0)]
    assert attributes(root.attributes)["error.type"] == "engine_died"
    assert attributes(root.attributes)["avaload.remains"] == "doubtful"
    assert (counts.sessions, counts.spans, counts.incomplete) == (1, 4, 0)


def test_following_stops_when_it_is_told_to_and_sends_what_has_ended(tmp_path: Path) -> None:
    with Receiver() as receiver, Journal(tmp_path / "journal" / "engine.jsonl") as journal:
        for event in (run_started(), *session(1), *session(2)[:10]):
            journal.write(encode(event))
        following = Exporting(tmp_path, receiver.url)
        assert receiver.wait(lambda: len(receiver.spans) == 7)
        following.stop.set()
        counts = following.end()
    assert (counts.spans, counts.incomplete) == (7, 1)


@pytest.mark.parametrize("trouble", ["refused", "hung", "503"])
@pytest.mark.parametrize("follow", [True, False])
def test_an_endpoint_in_trouble_costs_spans_and_bounded_time(tmp_path: Path, trouble: str, follow: bool) -> None:
    sessions = [session(number) for number in range(1, 1001)]
    write(tmp_path, "engine.jsonl", run_started(), *[e for events in sessions for e in events], run_finished())
    with Receiver(status=503 if trouble == "503" else 200, hung=trouble == "hung") as receiver:
        url = "http://127.0.0.1:1" if trouble == "refused" else receiver.url
        # 2 s for the end, or two requests; reading and a busy machine may take the rest.
        counts = Exporting(tmp_path, url, follow=follow).end(within_s=15)
    assert (counts.sessions, counts.spans, counts.dropped) == (1000, 0, 7000)


def test_a_hung_endpoint_does_not_keep_the_reader_from_following(tmp_path: Path) -> None:
    with Receiver(hung=True) as receiver, Journal(tmp_path / "journal" / "engine.jsonl") as journal:
        journal.write(encode(run_started()))
        following = Exporting(tmp_path, receiver.url)
        for number in range(1, 4001):
            journal.write(b"".join(map(encode, session(number))))
        journal.write(encode(run_finished()))
        counts = following.end(within_s=30)
    assert (counts.sessions, counts.dropped) == (4000, 28_000)  # more than the queue holds


def test_lines_that_are_no_events_are_skipped_and_counted(tmp_path: Path) -> None:
    write(tmp_path, "engine.jsonl", run_started(), *session(1), run_finished())
    path = tmp_path / "journal" / "engine.jsonl"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\nnonsense\n", 1))
    with Receiver() as receiver:
        counts = export_now(tmp_path, receiver)
    assert (counts.spans, counts.bad_lines) == (7, 1)
    assert counts.line() == "traces: 1 session, 7 spans sent, 0 dropped, 1 unreadable lines"


@pytest.mark.parametrize(("dropped", "told"), [(0, ""), (7, " (last: 503)")])
def test_a_refusal_is_told_where_spans_were_lost_by_it(dropped: int, told: str) -> None:
    counts = Counts(sessions=1, spans=7, dropped_by={"refused": dropped}, not_sampled=2, last=" (last: 503)")
    assert counts.line() == f"traces: 1 session, 7 spans sent, {dropped} dropped{told}, 2 sessions not sampled"


def test_a_copy_another_run_and_another_schema_are_not_exported(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporters.traces.process.signal.signal", lambda *_: None)
    write(tmp_path, "engine.jsonl", run_started(), *session(1), run_finished())
    write(tmp_path, "copy.jsonl", run_started(), *session(1), run_finished())
    write(tmp_path, "of-later.jsonl", replace(run_started(), schema=99), *session(2), run_finished())
    write(tmp_path, "of-other.jsonl", replace(run_started(), run_id="run-2"), *session(3)[:-1])
    (tmp_path / "journal" / "folder.jsonl").mkdir()
    with Receiver() as receiver:
        assert main(["export", str(tmp_path), "--otlp-endpoint", receiver.url]) == 0
        assert receiver.traces().keys() == {session_id(1)}
    assert len(receiver.spans) == 7
    out, error = capfd.readouterr()
    assert "traces: 1 session, 7 spans sent, 0 dropped\n" in out
    warning, sent = error.splitlines()
    assert sent.startswith("export: the spans of 1 session to 127.0.0.1:")
    assert warning.startswith("avaload: warning: passed over in the journals, since it can't be read: 4; ")
    for told in ("a copy of ", "belongs to run run-2, not to run-1", "schema 99", "folder.jsonl: not a file"):
        assert told in warning


def test_another_schema_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "engine.jsonl", replace(run_started(), schema=99))
    with Receiver() as receiver, pytest.raises(JournalError, match="schema 99"):
        export_now(tmp_path, receiver)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        ("https://collector.example/otlp", "https://collector.example/otlp/v1/traces"),
        ("http://[::1]:4318/v1/traces", "http://[::1]:4318/v1/traces"),
    ],
)
def test_the_traces_path_is_added_to_a_base_url(given: str, used: str) -> None:
    assert endpoint_url(given) == used


@pytest.mark.parametrize(
    "bad", ["", "127.0.0.1:4318", "ftp://x", "http://", "http://x:99999", "http://u:p@x", "http://x?k=1"]
)
def test_a_bad_endpoint_is_the_operators_error(bad: str) -> None:
    with pytest.raises(ConfigError, match="--otlp-endpoint"):
        endpoint_url(bad)
