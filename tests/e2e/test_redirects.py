"""A target that sends its callers elsewhere is told so by the run, with where to."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import avaload

SCENARIO = """
[load]
users = 1
duration = "2s"
ramp = "0s"
[target]
room = "none"
avaturn_base_url = "{url}"
[target.backend]
url = "{url}/start"
[target.backend.delete]
url = "{url}/stop/{{session_id}}"
"""


@contextmanager
def moved() -> Iterator[tuple[str, list[str]]]:
    """A server that answers everything with 307; what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.send_response(307)
            self.send_header("Location", "https://new.shop.example/start")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_DELETE = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def test_a_redirect_says_where_to_and_that_nothing_was_created(tmp_path: Path) -> None:
    with moved() as (url, asked):
        (tmp_path / "shop.toml").write_text(SCENARIO.format(url=url))
        with avaload("run", tmp_path / "shop.toml", cwd=tmp_path) as run:
            done = run.finish(within_s=60)
    report = run.report()
    assert done.code == 3, done
    assert set(asked) == {"POST /start"}
    (row,) = report["failures"]
    assert (row["step"], row["kind"], row["code"]) == ("create", "rejected", "http_3xx")
    told = "HTTP 307: a redirect to https://new.shop.example/start; it was not followed, and nothing was created."
    assert told in (run.run_dir / "report.html").read_text() or told in str(row)
    assert (report["sessions"]["leaked"], report["sessions"]["doubtful"]) == (0, 0)
