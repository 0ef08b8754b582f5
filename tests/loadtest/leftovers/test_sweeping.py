"""From a run directory to its sweep, as far as nothing needs to be run for it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from loadtest import journal
from loadtest.config.access.permission import Permission
from loadtest.config.run_dir import make_run_dir, write_settings
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.events.kinds import Remains, RemainsChanged, RemainsReason
from loadtest.leftovers import sweeping

DELETE = "https://127.0.0.1:9/stop/{session_id}"


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """With a session that was left, of a run whose services are elsewhere but for what deletes."""
    backend = {
        "url": "https://shop.example/start",
        "session_id": "id",
        "token": "token",
        "delete": {"url": DELETE, "method": "POST"},
    }
    where = {"openai_base_url": "https://mint.example/v1", "avaturn_base_url": "https://avatars.example"}
    settings = Settings.model_validate({"name": "s", "target": {**where, "backend": backend}})
    made = tmp_path / "run"
    make_run_dir(made)
    write_settings(settings, made, started_at=datetime(2026, 1, 2, tzinfo=UTC))
    left = RemainsChanged(
        t_ns=2,
        session="s1",
        remains=Remains.LEAKED,
        reason=RemainsReason.CREATE_ANSWERED,
        target_session_id="av-1",
    )
    with journal.Journal(journal.path_of(made, "engine", 0, 0)) as file:
        file.write(journal.encode(journal.first_line(role="engine", run_id="run", scenario="s", process=0)))
        file.write(journal.encode(left))
    return made


def test_a_sweep_looks_at_no_certificate_but_that_of_the_url_that_deletes(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[Any] = []

    async def untrusted(urls: list[str], _: object) -> list[str]:
        looked_at.extend(urls)
        return ["not trusted"]

    monkeypatch.setattr(sweeping.certificates, "untrusted", untrusted)
    with pytest.raises(ConfigError, match="not trusted"):
        asyncio.run(sweeping.sweep_run(run_dir, Permission()))
    assert looked_at == [DELETE]
