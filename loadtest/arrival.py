"""When sessions start: arithmetic on offsets from the start of the run, no clock inside."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPopulation:
    """A fixed number of users, each with one session at a time.

    Users come in over `ramp_s`, evenly. With `pacing_s` a user's sessions start at `phase + n * pacing_s` (a start that
    was missed because the session before took longer is skipped, not caught up); without it, as soon as the last one
    ended.
    """

    users: int
    ramp_s: float
    duration_s: float
    pacing_s: float | None

    def first_s(self, user: int, phase: float) -> float:
        """Offset of the user's first session. `phase` in [0, 1) spreads users inside their share of the ramp or
        pacing."""
        ramped_s = self.ramp_s * (user + phase) / self.users
        return ramped_s if self.pacing_s is None else ramped_s + phase * self.pacing_s

    def next_s(self, started_s: float, now_s: float) -> float:
        """Offset of the session after the one that was due at `started_s`."""
        if self.pacing_s is None:
            return now_s
        missed = max(0, int((now_s - started_s) // self.pacing_s))
        return started_s + (missed + 1) * self.pacing_s if now_s > started_s else started_s + self.pacing_s

    def is_over(self, due_s: float) -> bool:
        """Whether a session due then is not to start any more."""
        return due_s >= self.duration_s
