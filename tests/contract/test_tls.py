"""The twin over TLS: clients that trust its authority hold a turn and a room, and those that don't are told."""

import asyncio
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import openai
import pytest

from tests.loadtest.twin.process import DEADLINE_S, RunningTwin, running_twin, trust
from tests.loadtest.twin.talking import User
from tests.support import call


@pytest.fixture(scope="module")
def twin() -> Iterator[RunningTwin]:
    with running_twin("--tls", "--set", "answer_s=0.4") as started:
        yield started


def test_every_address_is_one_of_tls_and_the_authority_s_key_is_written_nowhere(twin: RunningTwin) -> None:
    told = twin.announcement
    grant = twin.sdk(twin.new_session()["token"]).json()

    assert {url.partition(":")[0] for url in (twin.openai_url, twin.avaturn_url, told["state_url"])} == {"https"}
    assert grant["room_url"].startswith(twin.avaturn_url.replace("https", "wss"))
    assert "PRIVATE KEY" not in Path(told["ca_file"]).read_text()
    assert [path.name for path in Path(told["ca_file"]).parent.iterdir()] == ["ca.pem"]


def test_the_authority_is_gone_with_the_twin() -> None:
    with running_twin("--tls") as brief:
        ca_file = Path(brief.announcement["ca_file"])
        assert ca_file.exists()

    assert not ca_file.parent.exists()


def test_the_official_client_holds_a_turn(twin: RunningTwin) -> None:
    context = trust(twin.announcement)

    async def turn() -> list[str]:
        http = openai.DefaultAsyncHttpxClient(verify=context)
        async with (
            openai.AsyncOpenAI(api_key=twin.openai_key, base_url=twin.openai_url, http_client=http) as client,
            asyncio.timeout(DEADLINE_S),
        ):
            secret = await client.realtime.client_secrets.create(session={"type": "realtime", "model": "gpt-realtime"})
            with_secret = client.with_options(api_key=secret.value)
            options: Any = {"ssl": context}
            kinds = []
            async with with_secret.realtime.connect(
                model="gpt-realtime", websocket_connection_options=options
            ) as connection:
                await connection.response.create()
                async for event in connection:
                    kinds.append(event.type)
                    if event.type == "rate_limits.updated":
                        return kinds
            return kinds

    kinds = asyncio.run(turn())

    assert kinds[:2] == ["session.created", "response.created"]
    assert kinds[-2:] == ["response.done", "rate_limits.updated"]


def test_a_user_talks_in_a_room(twin: RunningTwin) -> None:
    grant = twin.sdk(twin.new_session()["token"]).json()
    headers = {"authorization": f"Bearer {grant['limited_access_token']}"}

    async def talk() -> None:
        connector = aiohttp.TCPConnector(ssl=trust(twin.announcement))
        async with (
            aiohttp.ClientSession(connector=connector) as http,
            http.ws_connect(grant["room_url"], headers=headers) as socket,
        ):
            user = User(socket)
            tasks = [asyncio.create_task(user.listen()), asyncio.create_task(user.microphone())]
            try:
                user.say(duration_ms=600)
                await user.message("avatar_ended_speaking")
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(talk())


def test_who_does_not_know_the_authority_is_refused(twin: RunningTwin) -> None:
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        httpx.get(f"{twin.openai_url}/models", verify=ssl.create_default_context())


@pytest.mark.parametrize("options", [("--record", "x"), ("--replay-diff", "x")], ids=lambda value: value[0])
def test_only_a_twin_that_is_served_has_certificates(tmp_path: Path, options: tuple[str, str]) -> None:
    done = call("twin", "--tls", *options, cwd=tmp_path)

    assert done.code == 2
    assert "avaload twin: argument --tls: only for a twin that is served" in done.err_lines


def _run(twin: RunningTwin, folder: Path, *more: str) -> Any:
    keys = {"OPENAI_API_KEY": twin.openai_key, "AVATURN_API_KEY": twin.avaturn_key}
    ends = ("--openai-base-url", twin.openai_url, "--avaturn-base-url", twin.avaturn_url)
    plan = ("--users", "1", "--duration", "6s", "--ramp", "0s")
    return call("run", *ends, *plan, *more, cwd=folder, environ=keys)


def test_a_run_that_was_not_given_the_authority_stops_before_its_first_session(
    twin: RunningTwin, tmp_path: Path
) -> None:
    before = len(twin.state()["sessions"])
    done = _run(twin, tmp_path)

    assert (done.code, done.out) == (2, "")
    refused = [line for line in done.err_lines if "warning" not in line]
    assert len(refused) == 2
    assert all("its certificate is not trusted here" in line and "--ca-file" in line for line in refused)
    assert len(twin.state()["sessions"]) == before
    assert not (tmp_path / "run").exists()


@pytest.mark.quiet
def test_a_run_that_was_given_the_authority_talks_over_tls(twin: RunningTwin, tmp_path: Path) -> None:
    done = _run(twin, tmp_path, "--ca-file", twin.announcement["ca_file"])

    assert done.code == 0, done.err


def test_doctor_says_which_certificate_is_not_trusted(twin: RunningTwin, tmp_path: Path) -> None:
    keys = {"OPENAI_API_KEY": twin.openai_key, "AVATURN_API_KEY": twin.avaturn_key}
    target = f'[target]\nopenai_base_url = "{twin.openai_url}"\navaturn_base_url = "{twin.avaturn_url}"\n'
    (tmp_path / "unknown.toml").write_text(target)
    (tmp_path / "known.toml").write_text(f'{target}ca_file = "{twin.announcement["ca_file"]}"\n')
    done = call("doctor", "unknown.toml", cwd=tmp_path, environ=keys)
    fine = call("doctor", "known.toml", cwd=tmp_path, environ=keys)

    assert done.code == 2
    said = [line for line in done.out.splitlines() if line.startswith("bad   certificate: ")]
    assert len(said) == 2, (done.out, done.err)
    assert all("its certificate is not trusted here" in line and "--ca-file" in line for line in said)
    assert "certificate:" not in fine.out
    assert "openai: https://" in fine.out
