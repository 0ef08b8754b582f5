"""Names of the messages between Locust's master and its workers."""

from typing import Final

READY: Final = "avaload.ready"
BEGIN: Final = "avaload.begin"
SNAPSHOT: Final = "avaload.snapshot"
STOP: Final = "avaload.stop"
STEER: Final = "avaload.steer"
FITNESS: Final = "avaload.fitness"
DONE: Final = "avaload.done"
OBJECTIVES: Final = "avaload.objectives"
NUMBERED: Final = "avaload.numbered"
FULL: Final = "avaload.full"
"""From a worker whose disk is full."""
