"""A target that says back what it was told in secret, in every spelling and place that there is: a run against it
leaves nothing of it in a file, on a terminal, in metrics or in spans."""

import itertools
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.spellings import PLACES, SPELLINGS, decoded, pieces_of
from tests.support import avaload, eventually, free_port, get

SECRETS = {
    "OPENAI_API_KEY": "sk-Proj4711wertzuASDFGH",
    "AVATURN_API_KEY": "avt-9Lk8Jh7Gf6Ds5Aq",
    "SHOP_TOKEN": "Bearer t0ken+of/the.shop=42",
    "SHOP_SSO_PASSWORD": "pass word & more 77",
    "a literal header": "h3ader-v4lue-of-ours",
    "a body value": "b0dy/v4lue?of=ours",
    "a cookie": "c00kie-v4lue-of-ours",
}
SCENARIO = """
[load]
users = 6
duration = "12s"
ramp = "0s"
[target]
room = "none"
avaturn_base_url = "{url}"
[target.backend]
url = "{url}/start"
headers = {{ Authorization = "env:SHOP_TOKEN", X-Sso = "env:SHOP_SSO_PASSWORD", X-Own = "{header}" }}
body = {{ key = "{body}", language = "en" }}
[target.backend.delete]
url = "{url}/stop/{{session_id}}"
method = "POST"
"""


def answers() -> Iterator[bytes]:
    """One after the other, for ever: every spelling of some secret, somewhere in an answer that is no good."""
    spellings, secrets, places = (itertools.cycle(each) for each in (SPELLINGS.values(), SECRETS.values(), PLACES))
    cookie = b"Set-Cookie: sid=" + SECRETS["a cookie"].encode() + b"\r\n"
    for number in itertools.count():
        secret = next(secrets)
        told, key = next(spellings)(secret), secret if secret != SECRETS["a cookie"] else SECRETS["SHOP_TOKEN"]
        text = next(places).format(told)
        line = told.replace("\r", "").replace("\n", "")
        body = text.encode(errors="replace")
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        yield [
            b"HTTP/1.1 401 Unauthorized\r\n" + cookie + length + body,
            b"HTTP/1.1 200 OK\r\nX-Bad: " + line.encode() + b"\x00\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n" + line.encode() + b" :\r\n\r\n",
            f"HTTP/1.1 2x0 {line}\r\n\r\n".encode(),
            # Not a cookie: a shop may well keep a session's id in one.
            json_answer({"session_id": key, "token": "t"}),
            json_answer({"session_id": SPELLINGS["base64, second"](key), "token": "t"}),
            b"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:1/" + line.encode() + b"\r\n" + length + body,
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" + length + body,
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + line.encode() + b"\r\n",
            b"HTTP/1.1 200 OK\r\nSet-Cookie: sid=" + SECRETS["a cookie"].encode() + b"\x01\r\n\r\n",
            b"HTTP/1.1 500 " + line.encode() + b"\r\n" + length + body,
        ][number % 11]


def json_answer(tree: dict[str, Any]) -> bytes:
    body = json.dumps(tree).encode()
    return b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % len(body) + body


@contextmanager
def echoing() -> Iterator[tuple[str, list[bytes]]]:
    """The target, and what it has said."""
    said: list[bytes] = []
    coming, lock = answers(), threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline(65536).strip():
                length = 0
                while header := self.rfile.readline(65536).strip():
                    name, _, value = header.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                self.rfile.read(length)
                with lock:
                    said.append(next(coming))
                    answer = said[-1]
                self.wfile.write(answer)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", said
        finally:
            server.shutdown()
            thread.join(10)


def test_a_target_that_tells_back_what_it_was_told_makes_no_file_page_or_terminal_tell_it(tmp_path: Path) -> None:
    environ = {name: value for name, value in SECRETS.items() if " " not in name}
    port = free_port()
    with echoing() as (url, said):
        text = SCENARIO.format(url=url, header=SECRETS["a literal header"], body=SECRETS["a body value"])
        (tmp_path / "shop.toml").write_text(text)
        with avaload(
            "run",
            tmp_path / "shop.toml",
            "--no-check",
            "--metrics-port",
            port,
            "--metrics-linger",
            "1s",
            cwd=tmp_path,
            environ=environ,
        ) as run:
            metrics = eventually(
                lambda: len(said) > 20 and get(f"http://127.0.0.1:{port}/metrics")[1],
                within_s=60,
                what="failures",
                during=run,
            )
            done = run.finish(within_s=90)
    assert len(said) >= 44, "every spelling was tried"
    report = run.report()
    assert report["sessions"]["failed"] == report["sessions"]["started"] > 40
    row = next(row for row in report["rules"] if row["id"] == "SEC-1")
    assert row["outcome"] == "pass", row
    files = [path for path in run.run_dir.rglob("*") if path.is_file()]
    assert {"settings.json", "report.json", "report.html", "log.jsonl", "locust.log"} <= {path.name for path in files}
    told = {str(path): path.read_text(errors="replace") for path in files}
    told |= {"stdout": done.out, "stderr": done.err, "metrics": str(metrics)}
    for where, content in told.items():
        readable = content if len(content) > 1_000_000 else decoded(content)
        for name, secret in SECRETS.items():
            assert not pieces_of(secret.removeprefix("Bearer "), readable), (where, name)
