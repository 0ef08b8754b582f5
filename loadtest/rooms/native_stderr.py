"""Keeps native libraries from writing to the process's standard error; Python's own messages still get there.

daily-python's native part writes JSON lines to descriptor 2 whatever its log level, room addresses among them. They go
nowhere: each is told to a callback as well.
"""

import os
import sys
from functools import cache

from loadtest.secrecy.redact import guard_stderr


@cache
def quiet_stderr() -> None:
    """From now on descriptor 2 is the void, and `sys.stderr` a copy of what it was. Once per process, for good."""
    sys.stderr.flush()
    guard_stderr()
    void = os.open(os.devnull, os.O_WRONLY)
    os.dup2(void, 2)
    os.close(void)
