"""Secrets that every load session uses (docs/contract.md#rules-of-expiry)."""

import math
from collections.abc import Mapping
from typing import Final

from loadtest.events.kinds import ROUNDING_S, Mark, Observed, Outcome, Step, StepFinished
from loadtest.rules.fold import AtOneMoment, Fold, Handler, Key
from loadtest.rules.life import Life

TTL_TOLERANCE_S: Final = 5.0
WRONGEST_CLOCK_S: Final = 86_400.0
"""No clock of a machine that runs tests is off by more than a time zone."""
_AT_EXPIRY_NS: Final = 2_000_000_000
_OLDEST_S: Final = 60.0
_MOST_OF_LIFE: Final = 0.8


class OutlivesItsSecret(AtOneMoment):
    """A turn that began after the expiry went well; a room that ended at that very moment didn't survive it."""

    rule = "EXP-2"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.TURN: self._turn, Mark.ROOM_ENDED: self._ended}

    def _turn(self, event: StepFinished, life: Life) -> None:
        if life.expires_ns is None or event.started_ns <= life.expires_ns + _AT_EXPIRY_NS:
            return
        if event.outcome == Outcome.OK and life.once(self.rule):
            self.tally.held()

    def _ended(self, event: Observed, life: Life) -> None:
        left_s = None if life.secret is None else life.secret.left_s(event.t_ns)
        if left_s is None or life.connected_ns is None or life.error_ns is not None or life.is_over_by_age(event.t_ns):
            return
        at_expiry = abs(left_s) * 1e9 <= _AT_EXPIRY_NS
        self.ended(life, f"the room ended {-left_s:+.1f} s from the expiry of its secret" if at_expiry else None)


class LivesAsAskedFor(Fold):
    """By the provider's own clock where it tells it. Else by ours: then the time that the mint took is its own, and
    what a wrong clock of ours may explain is no case."""

    rule = "EXP-3"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.MINT: self._mint}

    def _mint(self, event: StepFinished, life: Life) -> None:
        secret = life.secret
        if event.failure is not None and event.failure.field is not None:
            self.tally.broken(life.session, event.failure.detail)
            return
        if secret is None or event.outcome != Outcome.OK:
            return
        early_s, off_s = 0.0, secret.off_s
        if secret.provider_s is None:
            early_s = (event.t_ns - event.started_ns) / 1e9
        if -(TTL_TOLERANCE_S + ROUNDING_S + early_s) <= off_s <= TTL_TOLERANCE_S + ROUNDING_S:
            self.tally.held()
        elif secret.provider_s is not None or abs(off_s) > WRONGEST_CLOCK_S:
            clock = "our clock" if secret.provider_s is None else "its own clock"
            self.tally.broken(
                life.session, f"asked for {secret.ttl_s} s, expires_at says {secret.told_s:.0f} s by {clock}"
            )


class IsFresh(Fold):
    """Equal fingerprints are equal secrets; each create is a case."""

    rule = "EXP-5"

    def __init__(self) -> None:
        super().__init__()
        self._used: set[int] = set()

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.CREATE: self._create}

    def _create(self, event: StepFinished, life: Life) -> None:
        if life.secret is None:
            return
        fingerprint = hash(life.secret.fingerprint)  # a number: a run may use a million of them
        age_s = life.secret.age_s(event.started_ns)
        if fingerprint in self._used:
            self.tally.broken(life.session, "its secret had been used by another session")
        elif age_s > _OLDEST_S:
            self.tally.broken(life.session, f"its secret was {age_s:.0f} s old at the create")
        else:
            self.tally.held()
        self._used.add(fingerprint)


class LeavesAMargin(Fold):
    """How much of its secret's life a session needs until it is up."""

    rule = "EXP-8"

    def handlers(self) -> Mapping[Key, Handler]:
        return {Step.CONNECT: self._connect}

    def _connect(self, event: StepFinished, life: Life) -> None:
        share = None if life.secret is None else life.secret.share_used(event.t_ns)
        if share is None or event.outcome != Outcome.OK:
            return
        if share == math.inf:
            self.tally.broken(life.session, "up on a secret that had expired when it was handed out")
        elif share > _MOST_OF_LIFE:
            self.tally.broken(life.session, f"up after {share:.0%} of its secret's life")
        else:
            self.tally.held()


FOLDS: Final = (OutlivesItsSecret, LivesAsAskedFor, IsFresh, LeavesAMargin)
