"""Runs avaload against a broken backend, and says whether the right rule was named and no other."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.criteria.statements import RULES
from tests.judging.broken_backends.breakage import Backend, Breakage, key_of, token_of
from tests.judging.broken_backends.proxy import Answer, Forward, HttpHook, Request, proxied
from tests.judging.judging import SCENARIO, TURNS, TWIN, twin

LIMIT_S: Final = 240.0
CHECKED: Final = (
    "EXP-1", "EXP-2", "EXP-3", "EXP-4", "EXP-7", "TD-1", "TD-1b", "TD-2", "TD-3", "TD-3b", "TD-4", "TD-7", "TD-11",
    "TR-1", "VAL-1", "GA-2", "SDK-1",
)  # fmt: skip
"""Leading rules of the checks that each broken backend gets; with theirs come nearly all that HTTP can show."""
_SHORTEST_SECRET: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`named`: rules that were broken → what was seen; `untried`: that were not tested → why; `leaks`: secrets in
    what the run left."""

    breakage: Breakage
    named: dict[str, str]
    untried: dict[str, str]
    exit_code: int
    leaks: int = 0
    said: str = ""

    @property
    def wrong(self) -> str:
        """Why this isn't as it should be; empty: it is."""
        allowed = {*self.breakage.breaks, *self.breakage.follows}
        reasons = []
        if self.breakage.breaks and not set(self.breakage.breaks) & set(self.named):
            reasons.append("missed")
        if blamed := [rule for rule in self.named if rule not in allowed]:
            reasons.append(f"{', '.join(blamed)} blamed")
        if self.exit_code == 1:
            reasons.append("a bug of ours")
        if self.leaks:
            reasons.append(f"{self.leaks} secrets in the run directory")
        return "; ".join(reasons)


async def judge(breakage: Breakage, *, scale: float) -> Verdict:
    """One backend, from its start to its verdict."""
    by_run = breakage.by == "run"
    scale = 1.0 if by_run else scale
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        knobs = (*(TWIN if by_run else ()), *breakage.knobs)
        serving = twin(knobs, "instant", 1, "--clock-scale", str(scale))
        told = await asyncio.to_thread(stack.enter_context, serving)
        keys = {"OPENAI_API_KEY": told["openai_api_key"], "AVATURN_API_KEY": told["avaturn_api_key"]}
        backend = Backend(openai_key=keys["OPENAI_API_KEY"], avaturn_key=keys["AVATURN_API_KEY"], scale=scale)
        secrets = set[str]()
        hooks = [_witness(secrets), *([breakage.http(backend)] if breakage.http else [])]
        sockets = breakage.sockets(backend) if breakage.sockets else None
        async with AsyncExitStack() as serving_stack:
            shown = await serving_stack.enter_async_context(proxied(told, http=hooks, sockets=sockets))
            keys |= {"AVALOAD_OUTPUT__METRICS_PORT": "off"}
            command = _run(folder) if by_run else ["probe", *(breakage.rules or CHECKED)]
            exit_code, said = await _avaload([*command, *_where(folder, shown)], keys)
        return _verdict(breakage, folder / "run", exit_code, said, secrets)


def _run(folder: Path) -> list[str]:
    turns = "\n".join(f'[[conversation.turns]]\nkind = "{kind}"' for kind in TURNS)
    (folder / "s.toml").write_text(SCENARIO.format(realtime="", turns=turns))
    return ["run", str(folder / "s.toml"), "--seed", "1"]


def _where(folder: Path, shown: dict[str, Any]) -> list[str]:
    urls = ["--openai-base-url", shown["openai_base_url"], "--avaturn-base-url", shown["avaturn_base_url"]]
    return [*urls, "--run-dir", str(folder / "run")]


async def _avaload(arguments: Sequence[str], keys: dict[str, str]) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "loadtest.cli",
        *arguments,
        env={**os.environ, **keys},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, said.decode(errors="replace")


def _verdict(breakage: Breakage, run: Path, exit_code: int, said: str, secrets: set[str]) -> Verdict:
    if not (run / "report.json").exists():
        return Verdict(breakage=breakage, named={}, untried={}, exit_code=1, said=said)
    report = json.loads((run / "report.json").read_text())
    rows = {row["id"]: row for row in report["rules"] if RULES[row["id"]].standing != "open"}
    written = b"\n".join(path.read_bytes() for path in run.rglob("*") if path.is_file()) + said.encode()
    return Verdict(
        breakage=breakage,
        named={rule: row["summary"] for rule, row in rows.items() if row["violations"]},
        untried={rule: row["summary"] for rule, row in rows.items() if row["outcome"] == "not_tested"},
        exit_code=exit_code,
        leaks=sum(secret.encode() in written for secret in secrets),
        said=said,
    )


def _witness(secrets: set[str]) -> HttpHook:
    """Writes down every key, secret and token on the line: none may be in what the run leaves."""

    async def hook(request: Request, forward: Forward) -> Answer:
        answer = await forward(request)
        fields = answer.fields
        values = [fields.get(name) for name in ("value", "token", "limited_access_token")]
        values += [key_of(request), token_of(request)]
        secrets.update(each for each in values if isinstance(each, str) and len(each) >= _SHORTEST_SECRET)
        return answer

    return hook
