"""A worker's start, in a process of its own: Locust patches the standard library of whoever imports it."""

import subprocess
import sys

GO_BEFORE_INIT = """
import gevent
from locust import events
from locust.env import Environment
import loadtest.locustfile as locustfile

class Process:
    def begin(self):
        print("begun", flush=True)

going = gevent.spawn(events.test_start.fire, environment=Environment())
gevent.sleep(0)
print("up", flush=True)
locustfile._up.set(Process())
going.get(timeout=30)
"""


def test_a_master_that_says_go_before_the_worker_is_up_is_obeyed_once_it_is() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GO_BEFORE_INIT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.split(), done.returncode) == (["up", "begun"], 0), done.stderr
