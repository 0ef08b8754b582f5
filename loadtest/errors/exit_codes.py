"""What a command's end means, as a number."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command; the worst of a run wins in the order 5, 130, 4, 3."""

    PASS = 0
    BUG = 1
    BAD_INPUT = 2
    FAIL = 3
    INVALID = 4
    LEFT_BEHIND = 5
    INTERRUPTED = 130
