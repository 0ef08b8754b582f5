"""The contract recorder: what it writes of a real service, here another twin, and what it tells of the twin by it."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import openai
import pytest

from loadtest.twin.recorder.contract import NOT_JSON, Names, parsed, shape
from loadtest.twin.recorder.differences import differences
from loadtest.twin.recorder.reading import ContractError, read
from loadtest.twin.recorder.recording import Recorder
from loadtest.twin.serving import main
from tests.loadtest.twin.process import DEADLINE_S, RunningTwin, running_twin
from tests.loadtest.twin.talking import in_room, realtime

_INSTRUCTIONS = "Only ever speak about the walrus."
_COMPARE_DEADLINE_S = 90.0


class _Recording:
    """What a client did and got through the recorder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values: list[str] = []
        """All that must not be in the file."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


def _record(path: Path, *options: str, room: bool = False, turn: bool = False) -> _Recording:
    """Record a twin with these options, driven by the openai package, by httpx, in a room and on a Realtime socket."""
    recording = _Recording(path)
    with running_twin("--set", "answer_s=0.6", *options) as real:
        to_record = ("--openai-base-url", real.openai_url, "--avaturn-base-url", real.avaturn_url)
        with running_twin("--record", str(path), *to_record) as recorder:
            recorder.openai_key, recorder.avaturn_key = real.openai_key, real.avaturn_key
            recording.values += [real.openai_key, real.avaturn_key, real.openai_url, _INSTRUCTIONS, "walrus"]
            _drive(recorder, recording, room=room)
            if turn:
                asyncio.run(_turn(recorder, recording))
    return recording


def _drive(recorder: RunningTwin, recording: _Recording, *, room: bool) -> None:
    session: Any = {
        "type": "realtime",
        "model": "gpt-realtime",
        "instructions": _INSTRUCTIONS,
        "audio": {"input": {"transcription": {"model": "whisper-1"}}, "output": {"voice": "cedar"}},
    }
    with openai.OpenAI(api_key=recorder.openai_key, base_url=recorder.openai_url, max_retries=0) as client:
        secret = client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 900}, session=session
        ).value
        with pytest.raises(openai.BadRequestError):
            client.realtime.client_secrets.create(expires_after={"seconds": 7201})
    assert recorder.mint(key="sk-wrong-0123456789").status_code == 401
    created = recorder.new_session(secret=secret, user_absent_timeout=30)
    grant = recorder.sdk(created["token"]).json()
    assert recorder.create({"max_duration": 59, "conversation_engine": {"client_secret": secret}}).status_code == 422
    if room:
        asyncio.run(_talk(recorder, grant, created["session_id"]))
    else:
        assert recorder.delete(created["session_id"]).status_code == 200
    recorder.sdk(created["token"])
    recorder.delete(created["session_id"])
    recording.values += [secret, created["session_id"], created["token"], grant["limited_access_token"]]
    recording.values += ["sk-wrong-0123456789", grant["id"]]


async def _talk(recorder: RunningTwin, grant: dict[str, Any], session_id: str) -> None:
    assert grant["room_url"].startswith(recorder.avaturn_url.replace("http", "ws"))
    async with in_room(grant) as user:
        await user.until(lambda: any(each.get("first_frame") for each in user.messages))
        user.say(duration_ms=600)
        await user.message("avatar_ended_speaking")
        await user.message("ce_events.realtime.response_transcript")
        async with httpx.AsyncClient(timeout=DEADLINE_S) as http:
            auth = {"authorization": f"Bearer {recorder.avaturn_key}"}
            await http.delete(f"{recorder.avaturn_url}/api/v1/sessions/{session_id}", headers=auth)
        await user.until(lambda: user.close_code is not None)


async def _turn(recorder: RunningTwin, recording: _Recording) -> None:
    transcription = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}, "instructions": _INSTRUCTIONS}
    async with realtime(recorder, session=transcription) as client:
        await client.until("session.created")
        await client.say(speech_ms=600)
        await client.until("response.done")
        item = client.events[-1]["response"]["output"][0]
        recording.values += [item["id"], item["content"][0]["transcript"]]


async def _nobody_there(recorder: RunningTwin) -> None:
    async with realtime(recorder, query="?model=gpt-realtime", key=recorder.openai_key):
        raise AssertionError("somebody answered")


def _compare(path: Path, *options: str) -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "loadtest.twin", "--replay-diff", str(path), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_COMPARE_DEADLINE_S, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def _refused(*options: str) -> list[str]:
    command = [sys.executable, "-m", "loadtest.twin", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr.splitlines()


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> _Recording:
    """A whole recording of the honest twin: HTTP, a conversation in a room, a turn on a Realtime socket."""
    return _record(tmp_path_factory.mktemp("contract") / "honest.jsonl", room=True, turn=True)


def test_the_twin_does_not_differ_from_itself(honest: _Recording) -> None:
    assert _compare(honest.path, "--set", "answer_s=0.6") == (0, ["no difference"])


def test_nothing_that_belongs_to_somebody_is_written(honest: _Recording) -> None:
    text = honest.path.read_text()

    assert len(honest.values) >= 13
    assert [value for value in honest.values if value in text] == []


def test_an_exchange_is_written_as_its_shape(honest: _Recording) -> None:
    mint = [line for line in honest.lines if line.get("exchange") == 1]

    assert mint[0] == {
        "exchange": 1,
        "service": "openai",
        "method": "POST",
        "path": "/v1/realtime/client_secrets",
        "query": {},
        "headers": {"content-type": "application/json"},
        "credentials": {"authorization": "<key 1>"},
        "request": {
            "expires_after": {"anchor": "created_at", "seconds": 900},
            "session": {
                "type": "realtime",
                "model": "gpt-realtime",
                "instructions": "<string>",
                "audio": {"input": {"transcription": {"model": "whisper-1"}}, "output": {"voice": "cedar"}},
            },
        },
    }
    assert mint[1]["status"] == 200
    assert "x-request-id" in mint[1]["headers"]
    assert {key: mint[1]["response"][key] for key in ("value", "expires_at")} == {
        "value": "<secret 1>",
        "expires_at": "<number>",
    }


def test_a_delete_names_the_session_by_the_exchange_that_made_it(honest: _Recording) -> None:
    deletes = [line["path"] for line in honest.lines if line.get("method") == "DELETE"]

    assert deletes == ["/api/v1/sessions/<session 4>"] * 2


def test_sub_protocols_closes_and_refusals_pass_through_the_recorder(tmp_path: Path) -> None:
    path = tmp_path / "sockets.jsonl"
    with running_twin("--set", "expired_secret=upgrade_401") as real:
        to_record = ("--openai-base-url", real.openai_url, "--avaturn-base-url", real.avaturn_url)
        with running_twin("--record", str(path), *to_record) as recorder:
            recorder.openai_key = real.openai_key
            secret = recorder.secret()

            async def use() -> tuple[str | None, int | None, int, bool]:
                offered = ("realtime", f"openai-insecure-api-key.{secret}")
                async with realtime(recorder, protocols=offered) as client:
                    protocol = client.socket.protocol
                    await client.until("session.created")
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    async with realtime(recorder, key="ek_of_nobody"):
                        pass
                async with realtime(recorder, key=secret, headers={"OpenAI-Beta": "realtime=v1"}) as client:
                    closed = (await client.closed())[0]
                has_headers = "x-twin-handled-ns" in (refused.value.headers or {})
                return protocol, closed, refused.value.status, has_headers

            assert asyncio.run(use()) == ("realtime", 4000, 401, True)

    assert secret not in path.read_text()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {"socket": 2, "status": 401, "headers": []} in lines
    ends = [line for line in lines if "ended_by" in line]
    assert ends == [
        {"socket": 1, "ended_by": "client", "code": 1000},
        {"socket": 3, "ended_by": "service", "code": 4000},
    ]
    assert _compare(path, "--set", "expired_secret=upgrade_401") == (0, ["no difference"])
    assert _compare(path) == (3, ["realtime: opening answered 101, recorded answered 401"])


def test_turns_by_commit_text_and_tools_are_replayed(tmp_path: Path) -> None:
    path = tmp_path / "turns.jsonl"
    pcm = {"type": "audio/pcm", "rate": 24000}
    tool = {"type": "function", "name": "walrus_of", "parameters": {"type": "object", "properties": {"walrus": {}}}}
    with running_twin("--set", "answers_close=no") as real:
        to_record = ("--openai-base-url", real.openai_url, "--avaturn-base-url", real.avaturn_url)
        with running_twin("--record", str(path), *to_record) as recorder:
            recorder.openai_key = real.openai_key

            async def use() -> None:
                manual = {"audio": {"input": {"format": pcm, "turn_detection": None}}}
                async with realtime(recorder, session=manual) as client:
                    await client.until("session.created")
                    await client.say(speech_ms=600)
                    await client.send("input_audio_buffer.commit")
                    await client.send("response.create")
                    item = (await client.until("response.done"))["response"]["output"][0]
                    cut = {"item_id": item["id"], "content_index": 0, "audio_end_ms": 10}
                    await client.send("conversation.item.truncate", **cut)
                    await client.until("conversation.item.truncated")
                    text = [{"type": "input_text", "text": "Where is my walrus?"}]
                    message = {"type": "message", "role": "user", "content": text}
                    await client.send("conversation.item.create", item=message)
                    await client.send("session.update", session={"type": "realtime", "tools": [tool]})
                    await client.send("response.create")
                    await client.until("response.done")

            asyncio.run(use())

    assert "walrus" not in path.read_text()
    assert _compare(path) == (0, ["no difference"])


def test_what_a_tool_of_mcp_takes_is_no_part_of_a_shape() -> None:
    schema = {"type": "object", "properties": {"walrus": {"type": "string"}}}
    tool = {"name": "feed", "input_schema": schema, "annotations": {"walrus": True}}

    told = shape({"type": "mcp_list_tools", "tools": [tool]}, Names())

    assert told["tools"] == [{"name": "<string>", "input_schema": "<object>", "annotations": "<object>"}]


def test_names_that_users_gave_are_no_part_of_a_complaint() -> None:
    error = {"param": "session.prompt.variables.walrus", "code": "unknown_parameter"}
    assert shape(error, Names()) == error | {"param": "session.prompt.variables.<member>"}
    assert shape({"param": "tools[0].headers.x-walrus"}, Names()) == {"param": "tools[0].headers.<member>"}
    assert shape({"loc": ["body", "headers", "walrus", 3]}, Names()) == {"loc": ["body", "headers", "<member>"]}
    for kept in ({"param": "session.audio.input"}, {"param": "response.metadata"}, {"loc": ["body", "tasks", 3]}):
        assert shape(kept, Names()) == kept


def test_of_reasons_only_those_are_kept_that_a_response_ends_by() -> None:
    assert shape({"reason": "turn_detected"}, Names()) == {"reason": "turn_detected"}
    assert shape({"approve": False, "reason": "walrus"}, Names()) == {"approve": "<boolean>", "reason": "<string>"}


def test_the_place_before_all_items_is_no_id() -> None:
    assert shape({"previous_item_id": "root"}, Names()) == {"previous_item_id": "root"}
    assert shape({"previous_item_id": "mine"}, Names()) == {"previous_item_id": "<string>"}


def test_a_header_that_a_refused_socket_lacks_is_named() -> None:
    refused = {"socket": 1, "status": 401}
    for told, named in ((["x-request-id"], []), (["retry-after", "x-request-id"], ["retry-after"])):
        lines = [OPENED, refused | {"headers": told}]
        assert differences(lines, [OPENED, refused | {"headers": ["x-request-id"]}]) == [
            f"realtime: opening 401: lacks the header {name}" for name in named
        ]
    assert differences([OPENED, refused], lines) == []


def test_a_word_that_was_said_is_no_secret_where_it_is_said_again() -> None:
    names = Names()
    said = [{"token": word, "logprob": -0.01, "bytes": [1]} for word in ("user", "completed")]
    names.learn({"item_id": "item_1", "logprobs": said}, source="1s")
    assert shape({"item_id": "item_1", "role": "user", "status": "completed", "logprobs": said}, names) == {
        "item_id": "<item 1s>",
        "role": "user",
        "status": "completed",
        "logprobs": [{"token": "<string>", "logprob": "<number>", "bytes": ["<number>"]}],
    }


def test_a_recorder_stops_with_a_socket_open(tmp_path: Path) -> None:
    path = tmp_path / "open.jsonl"
    with running_twin("--set", "answers_close=no") as real:
        to_record = ("--openai-base-url", real.openai_url, "--avaturn-base-url", real.avaturn_url)
        with running_twin("--record", str(path), *to_record) as recorder:
            recorder.openai_key = real.openai_key

            async def use() -> None:
                async with realtime(recorder) as client:
                    await client.until("session.created")
                    recorder.process.terminate()
                    await client.closed()

            asyncio.run(use())
            assert recorder.process.wait(DEADLINE_S) == 0

    assert json.loads(path.read_text().splitlines()[-1])["type"] == "session.created"


def test_a_stream_of_sound_is_a_line_and_not_thousands(honest: _Recording) -> None:
    sent = [line["type"] for line in honest.lines if line.get("from") == "client"]

    assert sent == ["audio", "input_audio_buffer.append"]


def test_other_statuses_and_another_order_are_named(tmp_path: Path) -> None:
    knobs = ("gone_status=410", "mutant=TD-6-500", "rate_limits=end")
    path = _record(tmp_path / "other.jsonl", *(option for knob in knobs for option in ("--set", knob)), turn=True).path

    assert _compare(path, "--set", "answer_s=0.6") == (
        3,
        [
            "GET /_sdk/v0/sessions: status 404, recorded 410",
            "DELETE /api/v1/sessions/{id}: status 404, recorded 500",
            "realtime: rate_limits.updated.rate_limits[].name is tokens, recorded requests or tokens",
            "realtime: response.done came before rate_limits.updated, recorded the other way round",
        ],
    )


def test_another_shape_and_another_event_in_a_room_are_named(tmp_path: Path) -> None:
    knobs = ("--set", "mutant=TR-5-iso", "--set", "mutant=TR-1-never")
    path = _record(tmp_path / "room.jsonl", *knobs, room=True).path

    assert _compare(path, "--set", "answer_s=0.6") == (
        3,
        [
            "room: has the event ce_events.realtime.input_transcript, which was not recorded",
            "room: ce_events.realtime.response_transcript.timestamp is <number>, recorded <string>",
        ],
    )


def test_a_member_that_one_side_lacks_is_named(honest: _Recording, tmp_path: Path) -> None:
    lines = honest.lines
    answer = next(line for line in lines if line.get("exchange") == 1 and "status" in line)
    del answer["response"]["session"]["tracing"]
    answer["response"]["deadline"] = "<number>"
    answer["response"]["session"]["audio"]["output"]["speed"] = 2
    answer["headers"].append("x-should-retry")
    path = tmp_path / "edited.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines if "socket" not in line))

    assert _compare(path) == (
        3,
        [
            "POST /v1/realtime/client_secrets 200: lacks the header x-should-retry",
            "POST /v1/realtime/client_secrets 200: response.session.audio.output.speed is 1, recorded 2",
            "POST /v1/realtime/client_secrets 200: response.session has tracing, which was not recorded",
            "POST /v1/realtime/client_secrets 200: response lacks deadline",
        ],
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file or directory"),
        ("", "not a recording of version 1"),
        ("[1]\n", "not a recording of version 1"),
        ('{"contract": 1}\n{"exchange": 1', "not a recording: a line is not JSON"),
        ('{"contract": 1}\n{"exchange": "1"}\n', "not a recording: line 2 is of no known kind"),
        ('{"contract": 1}\n', "nothing to compare: it has no answer of a service"),
        (
            '{"contract": 1}\n'
            '{"socket": 1, "from": "service", "type": "session.created", "shape": {"session": {"model": "gpt-real"}}}\n'
            '{"exchange": 1, "status": 200, "headers": [], "response": {"session": {"model": "gpt-realtime", '
            '"audio": {"input": {"transcription": {"model": "gpt-heard"}}}}}}\n',
            "nothing to compare: this twin has no model 'gpt-real', 'gpt-heard'",
        ),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, content: str | None, complaint: str) -> None:
    path = tmp_path / "bad.jsonl"
    if content is not None:
        path.write_text(content)

    assert _refused("--replay-diff", str(path)) == [f"avaload twin: {path}: {complaint}"]


def test_a_remote_service_is_refused_without_live(tmp_path: Path) -> None:
    path = tmp_path / "remote.jsonl"
    here = ("--record", str(path), "--avaturn-base-url", "http://127.0.0.1:9")

    assert _refused(*here, "--openai-base-url", "https://openai.example/v1") == [
        "avaload twin: argument --openai-base-url: openai.example is not on this host: needs --live"
    ]
    assert _refused(*here, "--openai-base-url", "http://openai.example/v1", "--live") == [
        "avaload twin: argument --openai-base-url: a key must not travel over plain http"
    ]
    assert _refused(*here) == ["avaload twin: argument --openai-base-url: needed with --record"]
    assert not path.exists()


def test_an_earlier_recording_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "earlier.jsonl"
    path.write_text("precious")
    urls = ("--openai-base-url", "http://127.0.0.1:9/v1", "--avaturn-base-url", "http://127.0.0.1:9")

    assert _refused("--record", str(path), *urls) == [f"avaload twin: argument --record: {path}: File exists"]
    assert path.read_text() == "precious"


def test_a_recording_in_which_nobody_answered_shows_no_twin_to_be_right(tmp_path: Path) -> None:
    path, here = tmp_path / "down.jsonl", "http://127.0.0.1:9"
    with running_twin("--record", str(path), "--openai-base-url", f"{here}/v1", "--avaturn-base-url", here) as recorder:
        assert httpx.get(f"{recorder.avaturn_url}/api/v1/sessions").status_code == 502
        recorder.openai_key = "sk-of-nobody"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            asyncio.run(_nobody_there(recorder))

    assert _refused("--replay-diff", str(path)) == [
        f"avaload twin: {path}: nothing to compare: it has no answer of a service"
    ]


def test_every_room_has_a_path_of_its_own_at_the_recorder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as own:
        upstreams = {"avaturn": "http://127.0.0.1:9"}
        recorder = Recorder(upstreams=upstreams, own={"avaturn": own}, write=lambda line: None)
        at = recorder.origin("avaturn")
        rooms = ["/ws?room=1", "/ws?room=2", "/ws?room=1", "", "/", ":9/"]
        told = [recorder._with_own_room("avaturn", {"room_url": f"ws://127.0.0.1{room}"}) for room in rooms]

    assert [json.loads(each or b"{}")["room_url"].removeprefix(f"ws://{at}") for each in told] == [
        "/ws", "/ws/2", "/ws", "/3", "/4", "/5"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("recorded", "twin", "told"),
    [
        (1, 1.0, None),
        (0.25, 0.25, None),
        (1.5, 1, "1, recorded 1.5"),
        ("true", True, 'true, recorded "true"'),
        (None, "null", '"null", recorded null'),
        (1, "1", '"1", recorded 1'),
        ("alloy", "marin", "marin, recorded alloy"),
    ],
)
def test_numbers_of_one_value_are_one_and_a_text_is_no_other_kind(recorded: Any, twin: Any, told: str | None) -> None:
    def updated(speed: Any) -> list[Any]:
        said = {"socket": 1, "from": "service", "type": "session.updated", "shape": {"session": {"speed": speed}}}
        return [OPENED, {"socket": 1, "status": 101, "headers": []}, said]

    found = differences(updated(recorded), updated(twin))
    assert found == ([] if told is None else [f"realtime: session.updated.session.speed is {told}"])


def test_what_was_not_answered_is_counted_and_differs_in_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unheard = OPENED | {"socket": 2}
    lines = [{"contract": 1}, REQUEST, {"exchange": 1, "status": 405, "headers": []}, OPENED, unheard]
    lines.append({"socket": 2, "status": None})
    path = tmp_path / "half.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert main(["--replay-diff", str(path)]) == 3
    told = capsys.readouterr()
    assert told.err == f"avaload twin: {path}: 2 of 3 requests had no answer: not compared\n"
    assert [line for line in told.out.splitlines() if "realtime" in line] == []


REQUEST: dict[str, Any] = {
    "exchange": 1, "service": "avaturn", "method": "GET", "path": "/api/v1/sessions",
    "query": {}, "headers": {}, "credentials": {"authorization": "<key 1>"},
}  # fmt: skip
OPENED: dict[str, Any] = {"socket": 1, **{key: REQUEST[key] for key in ("query", "headers", "credentials")}}
OPENED |= {"service": "openai", "path": "/v1/realtime"}


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "line",
    [
        REQUEST | {"path": "@127.0.0.2:9/x"},
        OPENED | {"path": "@127.0.0.2:9/realtime"},
        OPENED | {"path": ".example/realtime"},
        OPENED | {"protocols": ["x\r\ny"]},
        REQUEST | {"service": "another"},
        REQUEST | {"method": "GET / HTTP/1.1\r\nX: y"},
        REQUEST | {"headers": {"x\r\ny": "1"}},
        REQUEST | {"headers": {"host": "evil.example"}},
        REQUEST | {"headers": {"content-type": 7}},
        REQUEST | {"credentials": {"authorization": 7}},
        REQUEST | {"credentials": {"cookie": "x"}},
        REQUEST | {"request": _nested(900)},
        REQUEST | {"query": {"a": _nested(61)}},
        {"exchange": 1, "status": 200, "headers": [], "method": "GET"},
        {"exchange": 1, "status": 200, "headers": [1]},
        {"socket": 1, "status": 401, "headers": {"x": 1}},
        {"socket": 1, "from": "client", "type": "x", "shape": [1]},
        {"socket": 1, "from": "service", "type": "response.created", "shape": 7},
        {"socket": 1, "from": "somebody", "type": "x"},
        {"socket": 1, "ended_by": "client\x1b[2J", "code": 1},
    ],
)
def test_a_recording_that_a_stranger_made_leads_nowhere(tmp_path: Path, line: dict[str, Any]) -> None:
    path = tmp_path / "strange.jsonl"
    path.write_text(json.dumps({"contract": 1}) + "\n" + json.dumps(line) + "\n")

    with pytest.raises(ContractError, match="line 2 is of no known kind"):
        read(path)


def test_lines_as_recordings_have_them_are_read(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    lines = [{"contract": 1}, REQUEST, {"exchange": 1, "status": None, "headers": [], "response": "<not JSON>"}, OPENED]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert read(path) == lines[1:]


def test_what_is_no_plain_file_is_no_recording_and_nobody_waits_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ContractError, match=r"not a plain file|Is a directory"):
            read(path)


def test_an_answer_that_is_nested_without_an_end_is_none() -> None:
    assert parsed("[" * 900 + "]" * 900) == parsed("[" * 900_000) == NOT_JSON
    assert parsed('{"a": [[1]]}') == {"a": [[1]]}
