"""The twin over TLS: clients that trust its authority hold a turn and a room, and those that don't are told."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import openai
import pytest
from msgspec.structs import replace

from loadtest.config.run_dir import make_run_dir, write_settings
from loadtest.config.settings import Settings
from loadtest.events.kinds import Remains, RemainsChanged
from loadtest.journal import Journal, encode
from tests.exporters.traces.script import run_started, session
from tests.loadtest.twin.process import DEADLINE_S, RunningTwin, running_twin, trust
from tests.loadtest.twin.talking import User
from tests.support import Done, avaload, call, free_port


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


def _keys(twin: RunningTwin) -> dict[str, str]:
    return {"OPENAI_API_KEY": twin.openai_key, "AVATURN_API_KEY": twin.avaturn_key}


def _ends(twin: RunningTwin) -> tuple[str, ...]:
    return ("--openai-base-url", twin.openai_url, "--avaturn-base-url", twin.avaturn_url)


PLAN = ("--users", "1", "--duration", "6s", "--ramp", "0s")
LOADS = {"run": PLAN, "capacity": ("--stage", "1s"), "probe": ("EXP-1",)}


def _distrusts(done: Done, *, hosts: int) -> bool:
    refused = [line for line in done.err_lines if "warning" not in line and not line.startswith("sweep: ")]
    said = all("its certificate is not trusted here" in line and "--ca-file" in line for line in refused)
    return (done.code, done.out, len(refused)) == (2, "", hosts) and said


@pytest.mark.parametrize("command", LOADS)
def test_a_load_that_was_not_given_the_authority_stops_before_its_first_session(
    command: str, twin: RunningTwin, tmp_path: Path
) -> None:
    before = len(twin.state()["sessions"])
    options = ("--run-dir", "run", "--metrics-port", "off")
    done = call(command, *LOADS[command], *_ends(twin), *options, cwd=tmp_path, environ=_keys(twin))

    assert _distrusts(done, hosts=2), done
    assert len(twin.state()["sessions"]) == before
    assert not (tmp_path / "run").exists()


@pytest.mark.quiet
def test_a_run_that_was_given_the_authority_talks_over_tls(twin: RunningTwin, tmp_path: Path) -> None:
    trusting = ("--ca-file", twin.announcement["ca_file"])
    done = call("run", *PLAN, *_ends(twin), *trusting, cwd=tmp_path, environ=_keys(twin))

    assert done.code == 0, done.err


@pytest.mark.quiet
def test_a_probe_that_was_given_the_authority_checks_over_tls(twin: RunningTwin, tmp_path: Path) -> None:
    trusting = ("--ca-file", twin.announcement["ca_file"], "--metrics-port", "off")
    done = call("probe", "SEC-3", *_ends(twin), *trusting, cwd=tmp_path, environ=_keys(twin))

    assert "SEC-3   pass" in done.out, done


def test_a_worker_whose_host_does_not_trust_what_its_master_trusts_says_so(twin: RunningTwin, tmp_path: Path) -> None:
    trusting = _keys(twin) | {"SSL_CERT_FILE": twin.announcement["ca_file"]}
    port, before = free_port(), len(twin.state()["sessions"])
    expected = ("--master", "--master-bind-port", port, "--expect-workers", 1, "--room", "none")
    for name in ("master", "worker"):
        (tmp_path / name).mkdir()
    with avaload("run", *expected, *PLAN, *_ends(twin), cwd=tmp_path / "master", environ=trusting):
        where = ("--worker", "--master-host", "127.0.0.1", "--master-port", port, "--max-wait", "40s")
        done = call("run", *where, cwd=tmp_path / "worker", environ=_keys(twin))

    assert _distrusts(done, hosts=2), done
    assert len(twin.state()["sessions"]) == before


@pytest.fixture
def left(twin: RunningTwin, tmp_path: Path) -> Callable[[str | None], tuple[Path, str]]:
    """Makes the directory of a run that trusted this file and left a session behind; and the session's id."""

    def leave(ca_file: str | None) -> tuple[Path, str]:
        run_dir, session_id = tmp_path / "left", twin.new_session()["session_id"]
        target = {"openai_base_url": twin.openai_url, "avaturn_base_url": twin.avaturn_url, "ca_file": ca_file}
        settings = Settings.model_validate({"name": "left", "target": target})
        make_run_dir(run_dir)
        write_settings(settings, run_dir, started_at=datetime.now(UTC), run_id="left")
        with Journal(run_dir / "journal" / "here-engine-0-0.jsonl") as journal:
            for event in (run_started(), *session(1)):
                if isinstance(event, RemainsChanged):
                    event = replace(event, target_session_id=session_id)
                journal.write(encode(event))
                if isinstance(event, RemainsChanged) and event.remains is Remains.LEAKED:
                    break
        return run_dir, session_id

    return leave


@pytest.mark.parametrize("ca_file", [None, "nowhere.pem"])
def test_a_sweep_deletes_over_tls_with_whom_the_person_at_the_keyboard_trusts(
    ca_file: str | None,
    twin: RunningTwin,
    left: Callable[[str | None], tuple[Path, str]],
    tmp_path: Path,
) -> None:
    run_dir, session_id = left(ca_file)
    untold = call("sweep", run_dir, cwd=tmp_path, environ=_keys(twin))
    alive = {each["session_id"] for each in twin.state(alive=True)["sessions"]}
    told = call("sweep", run_dir, "--ca-file", twin.announcement["ca_file"], cwd=tmp_path, environ=_keys(twin))

    assert untold.code == 2
    assert "nowhere.pem: No such file" in untold.err if ca_file else _distrusts(untold, hosts=1)
    assert session_id in alive
    assert (told.code, told.out.splitlines()[0]) == (0, "1 deleted or already gone, 0 failed")
    assert session_id not in {each["session_id"] for each in twin.state(alive=True)["sessions"]}


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
