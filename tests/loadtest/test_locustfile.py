"""A worker's start, in a process of its own: Locust patches the standard library of whoever imports it."""

import os
import subprocess
import sys

from loadtest.config.environment import RUN_DIR

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

MASTER = """
from types import SimpleNamespace

import gevent
from locust.env import Environment
from locust.runners import MasterRunner
import loadtest.locustfile as locustfile

environment = Environment()
environment.runner = object.__new__(MasterRunner)
spawned = []
locustfile.gevent = SimpleNamespace(spawn=lambda *call: spawned.append(call))
locustfile.load_resolved = locustfile.Master = locustfile.conduct = lambda *_: None
locustfile.bring_up(environment, None)
print(spawned == [(locustfile.keep_small, environment)])
"""


def test_a_master_forgets_old_statistics_too() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MASTER],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, RUN_DIR: "none"},
    )
    assert (done.stdout.split(), done.returncode) == (["True"], 0), done.stderr


def test_a_master_that_says_go_before_the_worker_is_up_is_obeyed_once_it_is() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GO_BEFORE_INIT], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout.split(), done.returncode) == (["up", "begun"], 0), done.stderr
