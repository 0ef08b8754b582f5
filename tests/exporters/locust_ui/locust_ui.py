"""A Locust process with its web UI, headless otherwise: prints the port, serves until its stdin closes.

Then it prints Locust's table as JSON: `[[method, name, requests, failures, median], ...]` and the texts of its errors.
"""

import json
import sys

import gevent
from gevent.fileobject import FileObjectThread
from locust import User, task  # first: it monkey-patches
from locust.env import Environment

from exporters.locust_ui import live, locust_stats
from exporters.metrics.aggregate import Aggregate
from tests.exporters.traces.script import health, run_started, session


class Nobody(User):  # type: ignore[misc]
    @task  # type: ignore[untyped-decorator]
    def nothing(self) -> None:
        gevent.sleep(1)


def main() -> None:
    locust_stats.install_precise_buckets()
    environment = Environment(user_classes=[Nobody])
    environment.create_local_runner()
    login = "--web-login" in sys.argv
    web_ui = environment.create_web_ui("127.0.0.1", 0, delayed_start=True, web_login=login)
    if login:
        web_ui.app.secret_key = "of this test"
        web_ui.login_manager.user_loader(lambda _user: None)
    aggregate = Aggregate(["support"])
    live.install(web_ui, aggregate.snapshot)
    show = locust_stats.sink(environment)
    for event in (
        run_started(),
        *session(1),
        *session(2, turn_fails=True),
        *session(3)[:10],
        *session(4, purpose="probe:EXP-1"),
        health(),
    ):
        aggregate.add(event)
        show(event)
    web_ui.start()
    while web_ui.server is None or not web_ui.server.started:
        gevent.sleep(0.01)
    print(web_ui.server.server_port, flush=True)
    FileObjectThread(sys.stdin.buffer).read()
    web_ui.stop()
    entries = environment.stats.entries.values()
    table = [[e.method, e.name, e.num_requests, e.num_failures, e.median_response_time] for e in entries]
    print(json.dumps([sorted(table), sorted({e.error for e in environment.stats.errors.values()})]))


if __name__ == "__main__":
    main()
