"""A run against a target that gives back what was sent to it, in answers of success and of failure and in the room."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from loadtest.events.kinds import SecretGivenBack
from tests.e2e.target import events, reaching, unless_late
from tests.judging.broken_backends.breakage import key_of, token_of
from tests.judging.broken_backends.proxy import Answer, Forward, Frame, Passing, Request, proxied
from tests.loadtest.twin.process import running_twin
from tests.support import Done, avaload

LOAD = ("--users", "1", "--duration", "1s", "--ramp", "0s")
WHERE = {
    ("api_key", "mint: HTTP 200, header set-cookie", False),
    ("client_secret", "create: HTTP 200, body", False),
    ("session_token", "connect: HTTP 200, header x-debug", False),
    ("api_key", "delete: HTTP 200, header location", False),
    ("session_token", "look: HTTP 404, body", False),
    ("room_token", "room: app-message", False),
}


async def gives_back(request: Request, forward: Forward) -> Answer:
    answer = await forward(request)
    if request.path.endswith("/client_secrets"):
        answer.headers["Set-Cookie"] = f"seen={quote(key_of(request), safe='')}; Path=/"
    elif request.method == "POST":
        answer.fields = answer.fields | {"engine": request.fields["conversation_engine"]}
    elif request.method == "DELETE":
        answer.headers["Location"] = f"https://elsewhere.example/?authorization={request.headers['Authorization']}"
    elif answer.status == 200:
        answer.headers["X-Debug"] = f"token {token_of(request)}"
    else:
        answer.body = json.dumps({"detail": token_of(request)}).replace("-", "\\u002d").encode()
    return answer


class InTheRoom(Passing):
    """Says the room's token with everything that it says."""

    async def down(self, frame: Frame) -> Sequence[Frame]:
        key = self.link.headers.get("Authorization", "")
        own = [json.dumps({"type": "debug", "headers": {"authorization": key}})] if "room" in self.link.path else []
        return [frame, *own] if isinstance(frame, str) else [frame]


def test_what_a_target_gives_back_is_named_with_its_place_and_never_written(tmp_path: Path, brief: Path) -> None:
    secrets: set[str] = set()

    async def through_a_proxy() -> tuple[Done, Path]:
        async def witness(request: Request, forward: Forward) -> Answer:
            answer = await gives_back(request, forward)
            secrets.update(each for each in (key_of(request), token_of(request)) if each)
            secrets.update(str(answer.fields[name]) for name in ("value", "token") if name in answer.fields)
            return answer

        async with proxied(twin.announcement, http=[witness], sockets=InTheRoom) as shown:
            environ = reaching(twin) | {
                "AVALOAD_TARGET__OPENAI_BASE_URL": shown["openai_base_url"],
                "AVALOAD_TARGET__AVATURN_BASE_URL": shown["avaturn_base_url"],
            }
            with avaload("run", brief, *LOAD, cwd=tmp_path, environ=environ) as run:
                return await asyncio.to_thread(run.finish, within_s=90), run.run_dir

    with running_twin("--set", "answer_s=0.5") as twin:
        done, run_dir = asyncio.run(through_a_proxy())

    assert (run_dir / "report.json").exists(), done
    report = json.loads((run_dir / "report.json").read_text())
    (rule,) = [row for row in report["rules"] if row["id"] == "SEC-2"]
    found = {(each.secret, each.place, each.foreign) for each in events(run_dir) if isinstance(each, SecretGivenBack)}
    assert found == WHERE
    assert (done.code, rule["outcome"]) == (unless_late(3, report), "fail"), done
    assert rule["violations"] >= len(WHERE)
    assert "rule SEC-2 (No answer gives back a key" in (run_dir / "report.md").read_text()
    written = b"".join(path.read_bytes() for path in run_dir.rglob("*") if path.is_file()) + done.err.encode()
    assert len(secrets) >= 4
    assert [secret for secret in secrets if secret.encode() in written] == []
