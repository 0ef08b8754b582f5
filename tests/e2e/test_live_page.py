"""Locust's live page during a run: it shows the sessions and steers nothing; the run ends by itself."""

import json
import urllib.error
import urllib.parse
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.e2e.target import unless_late
from tests.support import avaload, eventually, free_port, get


def posted(url: str, **form: object) -> int:
    """HTTP status of a POST."""
    body = urllib.parse.urlencode(form).encode()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, data=body), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_live_page_shows_sessions_refuses_to_steer_and_ends_with_the_run(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = ("--users", 3, "--duration", "5s", "--ramp", "0s", "--room", "none", "--pacing", "500ms")
    with avaload("run", *options, "--web-port", port, cwd=tmp_path) as run:

        def sessions() -> dict[tuple[str, str], float]:
            """(group, item) → value of the table's rows; empty while the page isn't up."""
            with suppress(urllib.error.URLError, ConnectionError):
                tables: list[Any] = json.loads(get(f"{url}/stats/requests")[1])["extended_stats"]
                rows = next(table["data"] for table in tables if table["key"] == "sessions")
                return {
                    (row["group"], row["item"]): float(row["value"])
                    for row in rows
                    if row["group"] in ("finished", "open", "left behind")
                }
            return {}

        def finished() -> float:
            return sum(value for (group, _), value in sessions().items() if group == "finished")

        eventually(lambda: finished() >= 3, within_s=40, what="finished sessions on the page", during=run)
        assert run.process.poll() is None
        assert sum(value for (group, _), value in sessions().items() if group == "left behind") == 0
        assert posted(f"{url}/swarm", user_count=500, spawn_rate=500) == 403
        assert posted(f"{url}/stop") != 200 or run.process.poll() is None
        done = run.finish(within_s=60)
        report = run.report()
        assert done.code == unless_late(0, report), done
        assert report["sessions"]["completed"] >= 3 * 5
        assert report["sessions"]["peak_active"] <= 3
        assert report["duration_s"] >= 4.5
        assert run.processes() == {}
