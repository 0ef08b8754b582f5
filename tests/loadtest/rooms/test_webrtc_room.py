"""The WebRTC room against the twin, and against WHIP servers that misbehave."""

import asyncio
import random
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import aiohttp.web
import httpx
import numpy as np
import pytest

pytest.importorskip("aiortc", reason="needs the extra webrtc")

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcsctptransport import DataChunk

from loadtest.caller.pacing import Ticker
from loadtest.config.keys.caller import Caller, Line
from loadtest.errors.exceptions import StepError
from loadtest.errors.kinds import Code, Kind
from loadtest.events.kinds import Mark
from loadtest.rooms import opus
from loadtest.rooms.flood import DATAGRAM, MOST_A_SECOND
from loadtest.rooms.peer import Peer, payload_of
from loadtest.rooms.rehearsal import rehearse
from loadtest.rooms.webrtc import WebRtcRoom
from loadtest.session.hearing.ear import Ear
from loadtest.session.line import CallersLine
from loadtest.session.ports import Grant, Situation
from loadtest.sound.sources import corpus
from loadtest.sound.speech import RATE_HZ, SILENCE, clip_of, is_loud
from tests.loadtest.rooms.hearing import DEADLINE_S, LOUD, HandTicker, Recorder, footprint
from tests.loadtest.twin.process import RunningTwin

TRUST = ssl.create_default_context()
SILENT_OPUS = opus.encode((SILENCE,))[0]
TOLERANCE_NS = 100_000_000
"""For a busy machine; how true the stamps really are is measured in tests/benchmarks."""


def grant_of(twin: RunningTwin) -> tuple[dict[str, str], Grant]:
    session = twin.new_session()
    sdk = twin.sdk(session["token"]).json()
    return session, Grant(room_url=sdk["room_url"], token=sdk["limited_access_token"])


@asynccontextmanager
async def room_of(
    grant: Grant, ticker: Any = None, *, live: bool = False
) -> AsyncIterator[tuple[WebRtcRoom, Recorder]]:
    """A room, not yet connected; closed in the end."""
    listener = Recorder()
    room = WebRtcRoom(grant, listener, (SILENCE,), ticker or HandTicker(), proxy=None, trust=TRUST, live=live)
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield room, listener
    finally:
        await room.close()


async def failure_of(room: WebRtcRoom) -> StepError:
    with pytest.raises(StepError) as failed:
        await room.connect()
    return failed.value


# --- a conversation with the twin


def test_a_voice_turn_is_heard_by_both_sides_and_its_stamps_agree_with_the_twins(rtc_twin: RunningTwin) -> None:
    session, grant = grant_of(rtc_twin)
    onsets: list[int] = []

    async def script() -> Recorder:
        ticker = Ticker(asyncio.get_running_loop(), on_late_ns=lambda _late_ns: None)
        async with room_of(grant, ticker) as (room, listener):
            await room.connect()
            room.speak(corpus("corpus:en")[0])
            await listener.until(lambda: "avatar_ended_speaking" in listener.kinds())
            return listener

    heard = asyncio.run(script())
    ear = Ear(on_onset=onsets.append, on_offset=lambda _t_ns: None)
    for t_ns, pcm in heard.audio:
        ear.hear(t_ns, pcm)
    truth = rtc_twin.truth(session["session_id"])
    (turn,) = truth["turns"]
    assert abs(heard.at(Mark.SPEECH_END) - turn["last_voiced_ns"]) < TOLERANCE_NS
    assert len(onsets) == 1
    assert abs(onsets[0] - turn["first_audio_sent_ns"]) < TOLERANCE_NS
    assert truth["user_audio_frames"] >= len(corpus("corpus:en")[0].frames)
    assert heard.kinds()[:2] == ["avatar_started_speaking", "avatar_started_speaking_phrase"]


def test_connecting_reports_its_phases_in_order(rtc_twin: RunningTwin) -> None:
    async def script() -> list[tuple[int, Mark]]:
        async with room_of(grant_of(rtc_twin)[1]) as (room, listener):
            await room.connect()
            return listener.marks

    marks = asyncio.run(script())
    assert [mark for _, mark in marks] == [
        Mark.SIGNALLED,
        Mark.ICE_CONNECTED,
        Mark.DTLS_CONNECTED,
        Mark.JOINED,
        Mark.AVATAR_PRESENT,
        Mark.FIRST_FRAME,
    ]
    assert all(before <= after for (before, _), (after, _) in pairwise(marks))


def test_the_avatars_tone_is_heard_at_its_pitch(rtc_twin: RunningTwin) -> None:
    async def script() -> bytes:
        ticker = Ticker(asyncio.get_running_loop(), on_late_ns=lambda _late_ns: None)
        async with room_of(grant_of(rtc_twin)[1], ticker) as (room, listener):
            await room.connect()
            room.speak(corpus("corpus:en")[0])
            await listener.until(lambda: sum(is_loud(pcm) for _, pcm in listener.audio) >= 45)
            return b"".join(pcm for _, pcm in listener.audio if is_loud(pcm))

    heard = np.frombuffer(asyncio.run(script()), dtype="<i2").astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert spectrum.argmax() * RATE_HZ / len(heard) == pytest.approx(440, abs=5)


def test_after_a_close_nothing_is_left_and_the_twin_knows_that_the_user_went(rtc_twin: RunningTwin) -> None:
    session, grant = grant_of(rtc_twin)

    async def script() -> tuple[tuple[int, int, int], tuple[int, int, int], list[StepError]]:
        before = footprint()
        async with room_of(grant) as (room, listener):
            await room.connect()
            await room.close()
            await room.close()
        await asyncio.sleep(0)
        return before, footprint(), listener.ends

    before, after, ends = asyncio.run(script())
    assert after == before
    assert ends == []
    rtc_twin.eventually(session["session_id"], lambda found: found["state"] == "user_absent")


def test_the_twin_notices_a_user_who_hangs_up_without_a_word(rtc_twin: RunningTwin) -> None:
    session, grant = grant_of(rtc_twin)

    async def script() -> None:
        async with room_of(grant) as (room, _):
            await room.connect()
            room._resource = None  # no DELETE

    asyncio.run(script())
    rtc_twin.eventually(session["session_id"], lambda found: found["state"] == "user_absent")


def test_a_connect_that_is_cancelled_leaves_nothing(rtc_twin: RunningTwin) -> None:
    async def script() -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        before = footprint()
        async with room_of(grant_of(rtc_twin)[1]) as (room, listener):
            connecting = asyncio.ensure_future(room.connect())
            await listener.until(lambda: Mark.SIGNALLED in listener.reached)
            connecting.cancel()
            await asyncio.wait({connecting})
        await asyncio.sleep(0)
        return before, footprint()

    before, after = asyncio.run(script())
    assert after == before


def test_the_end_of_the_session_is_told_once_and_ends_the_microphone(rtc_twin: RunningTwin) -> None:
    session, grant = grant_of(rtc_twin)

    async def script() -> tuple[list[Code], int, Code]:
        ticker = HandTicker()
        async with room_of(grant, ticker) as (room, listener):
            await room.connect()
            await asyncio.to_thread(rtc_twin.delete, session["session_id"])
            await listener.until(lambda: bool(listener.ends))
            with pytest.raises(StepError) as refused:
                room.speak(corpus("corpus:en")[0])
            return [why.code for why in listener.ends], len(ticker.members), refused.value.code

    assert asyncio.run(script()) == ([Code.RTC_CLOSED], 0, Code.RTC_CLOSED)


def test_a_connection_that_fails_later_is_an_ice_failure(rtc_twin: RunningTwin) -> None:
    async def script() -> list[tuple[Kind, Code]]:
        async with room_of(grant_of(rtc_twin)[1]) as (room, listener):
            await room.connect()
            room.on_failed(1, "ice")
            return [(why.kind, why.code) for why in listener.ends]

    assert asyncio.run(script()) == [(Kind.TRANSPORT, Code.ICE_FAILED)]


# --- refusals


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda grant: Grant(room_url=grant.room_url, token="wrong"), Code.UNAUTHORIZED),
        (lambda grant: Grant(room_url=grant.room_url.replace("/rooms/", "/rooms/no"), token="x"), Code.NOT_FOUND),
    ],
    ids=["bad token", "no such room"],
)
def test_a_refused_offer_is_a_rejection(rtc_twin: RunningTwin, spoil: Callable[[Grant], Grant], code: Code) -> None:
    async def script() -> StepError:
        async with room_of(spoil(grant_of(rtc_twin)[1])) as (room, _):
            return await failure_of(room)

    error = asyncio.run(script())
    assert (error.kind, error.code) == (Kind.REJECTED, code)


def test_the_room_of_an_ended_session_is_gone(rtc_twin: RunningTwin) -> None:
    session, grant = grant_of(rtc_twin)
    rtc_twin.delete(session["session_id"])

    async def script() -> StepError:
        async with room_of(grant) as (room, _):
            return await failure_of(room)

    error = asyncio.run(script())
    assert (error.kind, error.code, error.http_status) == (Kind.REJECTED, Code.HTTP_4XX, 410)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [("application/json", "{}", 415), ("application/sdp", "no sdp", 400), ("application/sdp", "v=0\r\n" * 20_000, 413)],
)
def test_the_twin_refuses_what_is_no_offer(rtc_twin: RunningTwin, kind: str, body: str, status: int) -> None:
    _, grant = grant_of(rtc_twin)
    headers = {"authorization": f"Bearer {grant.token}", "content-type": kind}
    assert rtc_twin.http.post(grant.room_url, content=body, headers=headers).status_code == status


def test_a_whip_resource_is_deleted_by_its_own_token_and_once(rtc_twin: RunningTwin) -> None:
    _, grant = grant_of(rtc_twin)

    async def script() -> tuple[int, int, int]:
        async with room_of(grant) as (room, listener), httpx.AsyncClient() as http:
            await room.connect()
            resource, good = room._resource, {"authorization": f"Bearer {grant.token}"}
            assert resource is not None
            assert resource.startswith(grant.room_url + "/")
            stranger = await http.delete(resource, headers={"authorization": "Bearer stranger"})
            deleted = await http.delete(resource, headers=good)
            await listener.until(lambda: bool(listener.ends))
            again = await http.delete(resource, headers=good)
            return stranger.status_code, deleted.status_code, again.status_code

    assert asyncio.run(script()) == (401, 200, 404)


# --- servers that misbehave

Answer = Callable[[aiohttp.web.Request], Awaitable[aiohttp.web.Response]]


def failure_with(answer: Answer, *, live: bool = False) -> StepError:
    """How the connect to a WHIP server fails that answers so."""

    async def script() -> StepError:
        app = aiohttp.web.Application()
        app.router.add_post("/whip", answer)
        runner = aiohttp.web.AppRunner(app)
        await runner.setup()
        site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        grant = Grant(room_url=f"http://127.0.0.1:{runner.addresses[0][1]}/whip", token="token-1")
        try:
            async with room_of(grant, live=live) as (room, _):
                return await failure_of(room)
        finally:
            await runner.cleanup()

    return asyncio.run(script())


@pytest.mark.parametrize(
    "line",
    [
        "\na=candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host",
        "\na=candidate:1  1\tudp 2130706431 192.0.2.7 5000 typ host",
        "\ra=candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host",
        "\u2028a=candidate:1 1 udp 2130706431 192.0.2.7\t5000 typ host",
    ],
    ids=["plainly", "with other spaces", "on a line that ends with CR", "on a line of Unicode"],
)
def test_an_answer_that_names_another_machine_is_not_followed(line: str) -> None:
    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        sdp = f"v=0\r{line}\r\n"
        return aiohttp.web.Response(status=201, text=sdp, content_type="application/sdp")

    error = failure_with(answer)
    assert (error.kind, error.code) == (Kind.PROTOCOL, Code.BAD_SHAPE)
    assert error.detail == (
        "a room on this machine offers the address 192.0.2.7, and the run is not --live:"
        " have it offer 127.0.0.1, or add --live"
    )


def test_a_live_run_follows_whatever_address_a_room_on_this_machine_offers() -> None:
    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        sdp = "v=0\r\na=candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host\r\n"
        return aiohttp.web.Response(status=201, text=sdp, content_type="application/sdp")

    assert failure_with(answer, live=True).detail.startswith("the answer is no SDP that fits the offer")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"no gzip", {"content-encoding": "gzip"}),
        (b"no brotli", {"content-encoding": "br"}),
        (b"<p>error page</p>" * 20_000, {}),
    ],
)
def test_a_refusal_counts_by_its_status_whatever_its_body_is(body: bytes, headers: dict[str, str]) -> None:
    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(status=503, body=body, headers=headers)

    error = failure_with(answer)
    assert (error.kind, error.code, error.http_status) == (Kind.REJECTED, Code.HTTP_5XX, 503)


def test_an_answer_with_ever_so_many_addresses_is_a_broken_protocol() -> None:
    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        sdp = "v=0\r\n" + "a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host\r\n" * 65
        return aiohttp.web.Response(status=201, text=sdp, content_type="application/sdp")

    error = failure_with(answer)
    assert (error.kind, error.code) == (Kind.PROTOCOL, Code.BAD_SHAPE)
    assert "65 addresses" in error.detail


def test_an_answer_that_is_no_sdp_is_a_broken_protocol() -> None:
    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(status=201, text="hello", content_type="application/sdp")

    error = failure_with(answer)
    assert (error.kind, error.code) == (Kind.PROTOCOL, Code.BAD_SHAPE)


def test_a_success_other_than_201_is_a_broken_protocol() -> None:
    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(status=200)

    error = failure_with(answer)
    assert (error.kind, error.code, error.http_status) == (Kind.PROTOCOL, Code.BAD_SHAPE, 200)


def test_a_redirect_is_not_followed() -> None:
    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(status=307, headers={"Location": "http://192.0.2.7/whip"})

    error = failure_with(answer)
    assert (error.kind, error.code) == (Kind.REJECTED, Code.HTTP_3XX)


def test_a_refusal_never_shows_the_token() -> None:
    async def answer(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(status=500, text=f"broken for {request.headers['Authorization']}")

    error = failure_with(answer)
    assert (error.kind, error.code) == (Kind.REJECTED, Code.HTTP_5XX)
    assert "token-1" not in error.detail


def test_nobody_at_the_address_is_a_failed_connect() -> None:
    async def script() -> StepError:
        async with room_of(Grant(room_url="http://127.0.0.1:9/whip", token="t")) as (room, _):
            return await failure_of(room)

    error = asyncio.run(script())
    assert (error.kind, error.code) == (Kind.TRANSPORT, Code.CONNECT_FAILED)


# --- the peer


@pytest.mark.parametrize(
    ("numbers", "lost", "heard"),
    [
        ([65534, 65535, 0, 1], 0, 4),
        ([7, 8, 11, 12], 2, 4),
        ([7, 8, 30000, 30001], 0, 4),  # numbered anew
    ],
)
def test_packets_that_never_came_are_counted_by_their_numbers(numbers: list[int], lost: int, heard: int) -> None:
    async def scene() -> tuple[int, int]:
        async with room_of(Grant(room_url="http://127.0.0.1:1/rooms/x/whip", token="t")) as (room, listener):
            for place, number in enumerate(numbers):
                room.on_packet(place * 20_000_000, number, number * 960, SILENT_OPUS)
            assert sum(listener.lost) == lost
            return room.lost, len(listener.audio)

    assert asyncio.run(scene()) == (lost, heard)


def test_a_rehearsal_leaves_nothing() -> None:
    async def script() -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        before = footprint()
        await rehearse()
        await asyncio.sleep(0)
        return before, footprint()

    before, after = asyncio.run(script())
    assert after == before


def offered(**peer_of: Any) -> list[tuple[str, str]]:
    """Each address and port of an offer, once, in their order."""

    async def script() -> str:
        peer = Peer(None, **peer_of)  # type: ignore[arg-type]
        try:
            return await peer.offer()
        finally:
            await peer.close()

    lines = [line.split(" ") for line in asyncio.run(script()).splitlines() if line.startswith("a=candidate:")]
    return list(dict.fromkeys((words[4], words[5]) for words in lines))


def test_an_offer_names_only_this_machine_and_one_socket() -> None:
    assert [address for address, _ in offered(loopback="127.0.0.1")] == ["127.0.0.1"]


def test_an_offer_that_may_be_answered_from_elsewhere_names_the_hosts_addresses_too() -> None:
    of_host = [address for address, _ in offered(loopback=None)]
    assert [address for address, _ in offered(loopback="127.0.0.1", elsewhere=True)] == ["127.0.0.1", *of_host]


class Later(HandTicker):
    """A ticker that calls what is due when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.due: list[Callable[[], None]] = []

    def at(self, _due_ns: int, call: Callable[[], None]) -> None:
        self.due.append(call)

    def run(self) -> None:
        due, self.due = self.due, []
        for call in due:
            call()


@pytest.mark.parametrize("delay_s", [0.0, 0.06])
def test_where_nothing_is_sent_between_turns_the_clock_goes_on_and_the_next_speech_is_marked(delay_s: float) -> None:
    """Three packets, a rest of 200 ms, three packets; with a line's delay some of them leave during the rest."""
    caller = Caller(up=Line(delay_s=delay_s))
    line = CallersLine(caller, random.Random(1)) if delay_s else None
    sent: list[bytes] = []

    async def script() -> None:
        ticker = Later()
        grant = Grant(room_url="http://127.0.0.1:9/whip", token="t")
        situation = Situation(caller=caller, chance=random.Random(1), line=line)
        room = WebRtcRoom(grant, Recorder(), (), ticker, proxy=None, trust=TRUST, situation=situation)  # type: ignore[arg-type]
        room._peer._write = sent.append
        room._on_joined()
        clip = clip_of("three", LOUD * 3)
        for speech in range(2):
            room.speak(clip)
            ticker.tick(3)
            ticker.tick(5)
            ticker.run()
            ticker.tick(0 if speech else 5)
        await room.close()

    asyncio.run(script())
    headers = [struct.unpack_from(">xBHI", packet) for packet in sent]
    first = headers[0][1:]
    assert [(kind >> 7, number - first[0], (stamp - first[1]) // 960) for kind, number, stamp in headers] == [
        (0, 0, 0),
        (0, 1, 1),
        (0, 2, 2),
        (1, 3, 13),
        (0, 4, 14),
        (0, 5, 15),
    ]


def answered(change: Callable[[str], str]) -> tuple[str, tuple[int, ...]]:
    """The audio line of an offer, and what a peer understands to be Opus once it was answered with that change."""

    async def script() -> tuple[str, tuple[int, ...]]:
        peer = Peer(None, loopback="127.0.0.1")  # type: ignore[arg-type]
        other = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        try:
            offer = await peer.offer()
            await other.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
            await other.setLocalDescription()
            await peer.accept(change(other.localDescription.sdp))
            return next(line for line in offer.splitlines() if line.startswith("m=audio")), peer._understood
        finally:
            await peer.close()
            await other.close()

    return asyncio.run(script())


def test_nothing_but_opus_is_offered_and_an_answer_may_give_it_a_number_of_its_own() -> None:
    line, understood = answered(lambda sdp: sdp.replace(" 96\r\n", " 111\r\n").replace("rtpmap:96 ", "rtpmap:111 "))
    assert line.split(" ")[3:] == ["96"]
    assert understood == (96, 111)


def test_an_answer_without_opus_does_not_fit_the_offer() -> None:
    with pytest.raises(ValueError, match="no SDP that fits the offer"):
        answered(lambda sdp: sdp.replace(" 96\r\n", " 0\r\n").replace("rtpmap:96 opus/48000/2", "rtpmap:0 PCMU/8000"))


@dataclass
class Packets:
    """An ear: which packets it heard, when, under which number and with which timestamp; which texts; and what it was
    broken by."""

    heard: list[tuple[int, int, int]] = field(default_factory=list)
    texts: list[str | bytes] = field(default_factory=list)
    broken: list[StepError] = field(default_factory=list)

    def on_text(self, _t_ns: int, text: str | bytes) -> None:
        self.texts.append(text)

    def on_broken(self, _t_ns: int, why: StepError) -> None:
        self.broken.append(why)

    def on_packet(self, t_ns: int, sequence: int, timestamp: int, _payload: bytes) -> None:
        self.heard.append((t_ns // 1_000_000, sequence, timestamp))


class Open:
    """In the place of SRTP: every packet is authentic."""

    def __init__(self) -> None:
        self._rx_srtp = self

    def unprotect(self, data: bytes) -> bytes:
        return data


def pieces_of(lengths: list[int], *, channel: int = 1, begin: int = 1, step: int = 1, last: bool = False) -> list[Any]:
    """Fragments of one message that begins there, of so many bytes each, as SCTP numbers them."""
    chunks = [DataChunk() for _ in lengths]
    for place, (chunk, length) in enumerate(zip(chunks, lengths, strict=True)):
        chunk.tsn, chunk.stream_id, chunk.user_data, chunk.protocol = begin + place * step, channel, b"x" * length, 51
        chunk.flags = (2 if place == 0 else 0) | (1 if last and place == len(lengths) - 1 else 0)
    return chunks


def told_of(chunks: list[Any]) -> tuple[list[int], list[str]]:
    """What a peer makes of data chunks: the lengths of messages, and what it is broken by."""
    ear = Packets()

    async def script() -> None:
        peer = Peer(ear, loopback="127.0.0.1")  # type: ignore[arg-type]
        try:
            association: Any = peer._connection.sctp
            association._last_received_tsn = 0
            association._data_channels[1] = peer._channel
            for chunk in chunks:
                await association._receive_data_chunk(chunk)
        finally:
            association._data_channels.clear()
            await peer.close()

    asyncio.run(script())
    assert {(why.kind, why.code) for why in ear.broken} <= {(Kind.PROTOCOL, Code.BAD_SHAPE)}
    return [len(text) for text in ear.texts], [why.detail for why in ear.broken]


def test_the_longest_message_in_fragments_is_heard() -> None:
    assert told_of(pieces_of([1200] * 873, last=True)) == ([873 * 1200], [])


TOO_LONG, TOO_MANY = "the room sent a message of more than 1 MiB", "the room sent more than 2048 pieces of messages"


@pytest.mark.parametrize(
    ("chunks", "told"),
    [
        (pieces_of([1200] * 900), TOO_LONG),
        ([*pieces_of([1200] * 450), *pieces_of([1200] * 450, channel=3, begin=451)], TOO_LONG),
        (pieces_of([1] * 2100), TOO_MANY),
        (pieces_of([1] * 1100, begin=2, step=2), TOO_MANY),
        ([chunk for at in range(17) for chunk in pieces_of([1], channel=2 * at + 1, begin=at + 1)], TOO_MANY),
    ],
    ids=["a long message", "on two channels", "tiny fragments", "with gaps between them", "many channels"],
)
def test_a_message_that_never_ends_ends_the_room(chunks: list[Any], told: str) -> None:
    texts, broken = told_of(chunks)
    assert texts == []
    assert [why[: len(told)] for why in broken] == [told]


def test_datagrams_without_an_end_end_the_room_and_are_handed_on_no_more() -> None:
    ear, passed = Packets(), []

    async def script() -> None:
        peer = Peer(ear, loopback="127.0.0.1")  # type: ignore[arg-type]
        try:
            received = peer._demultiplexed(lambda data, _address: passed.append(data))
            for _ in range(2 * MOST_A_SECOND):
                received(b"\x16\xfe", None)
        finally:
            await peer.close()

    asyncio.run(script())
    assert len(passed) == MOST_A_SECOND // DATAGRAM
    assert [(why.kind, why.code) for why in ear.broken] == [(Kind.PROTOCOL, Code.BAD_SHAPE)]


@pytest.mark.parametrize(
    ("size", "codes"), [(1 << 20, [Code.BAD_JSON]), ((1 << 20) + 1, [Code.BAD_SHAPE])], ids=["1 MiB", "a byte more"]
)
def test_a_message_of_any_room_has_a_bound(size: int, codes: list[Code]) -> None:
    async def scene() -> list[Code]:
        async with room_of(Grant(room_url="http://127.0.0.1:1/rooms/x/whip", token="t")) as (room, listener):
            room.on_text(1, b" " * size)
            return [why.code for why in listener.ends]

    assert asyncio.run(scene()) == codes


def numbers_heard(monkeypatch: pytest.MonkeyPatch, sent: list[tuple[int, int, int, int]]) -> list[tuple[int, int, int]]:
    """What a peer hears (ms, number, timestamp) of packets: when they come in ms, payload type, SSRC, number; their
    stream's timestamps are their numbers."""
    clock = [10**12]
    monkeypatch.setattr("loadtest.rooms.peer.now_ns", lambda: clock[0])
    ear = Packets()

    async def script() -> None:
        peer = Peer(ear, loopback="127.0.0.1")  # type: ignore[arg-type]
        try:
            peer._understood = (96, 111)
            dtls, peer._dtls = peer._dtls, Open()
            received = peer._demultiplexed(lambda _data, _address: None)
            for t_ms, payload_type, ssrc, number in sent:
                clock[0] = 10**12 + t_ms * 1_000_000
                received(struct.pack(">BBHII", 0x80, payload_type, number, number, ssrc) + SILENT_OPUS, None)
            peer._dtls = dtls
        finally:
            await peer.close()

    asyncio.run(script())
    return [(t_ms - 10**6, number, timestamp) for t_ms, number, timestamp in ear.heard]


def test_packets_of_another_codec_are_not_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = [(0, 96, 1, 7), (20, 0, 1, 8), (40, 0x80 | 111, 1, 9), (60, 13, 1, 10)]
    assert numbers_heard(monkeypatch, sent) == [(0, 7, 7), (40, 9, 9)]


def test_of_two_streams_at_once_one_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = [(0, 96, 1, 7), (5, 96, 2, 900), (20, 96, 1, 8), (25, 96, 2, 901), (40, 96, 1, 9)]
    assert numbers_heard(monkeypatch, sent) == [(0, 7, 7), (20, 8, 8), (40, 9, 9)]


def test_a_stream_that_follows_a_silent_one_is_heard_and_its_numbers_and_its_clock_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = [(0, 96, 1, 65535), (190, 96, 2, 900), (210, 96, 2, 901), (230, 96, 2, 903), (440, 96, 3, 65000)]
    assert numbers_heard(monkeypatch, sent) == [(0, 65535, 65535), (210, 0, 65535), (230, 2, 65537), (440, 3, 65537)]


@pytest.mark.parametrize(
    ("first", "extra", "tail"),
    [
        (0x80, b"", b""),
        (0x82, bytes(8), b""),
        (0x90, b"\xbe\xde\x00\x01" + bytes(4), b""),
        (0xA0, b"", b"\0\0\3"),
        (0xB1, bytes(4) + b"\xbe\xde\x00\x02" + bytes(8), b"\1"),
    ],
    ids=["plain", "contributors", "extension", "padding", "all"],
)
def test_the_payload_of_a_packet_is_found_behind_whatever_it_carries(first: int, extra: bytes, tail: bytes) -> None:
    packet = struct.pack(">BBHII", first, 96, 7, 960, 1) + extra + b"sound" + tail
    assert payload_of(packet) == b"sound"
