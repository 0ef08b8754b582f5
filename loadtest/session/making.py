"""Making a session, call by call: a secret, then the session on it. Each is a timed step, and the journal is told.

The load's sessions make themselves so, and a probe's too; what a probe makes differently it says.
"""

from collections.abc import Callable, Mapping
from typing import Any

from loadtest.language.events import Step
from loadtest.session.owned import Owned, Steps
from loadtest.session.ports import Call, ClientSecret, ControlApi, Created
from loadtest.session.record import Record


class Making:
    """Of one session. `digest`: a salted hash, all that is told of a secret."""

    def __init__(
        self,
        control: ControlApi,
        record: Record,
        steps: Steps,
        owned: Owned,
        *,
        digest: Callable[[str], str],
    ) -> None:
        self._control, self._record, self._steps, self._owned = control, record, steps, owned
        self._digest = digest

    async def mint(self, *, ttl_s: int, realtime: Mapping[str, Any]) -> ClientSecret:
        """A fresh secret that is to live so long, for a talk that `realtime` describes. Raises StepError."""

        async def mint(call: Call, span: str) -> ClientSecret:
            secret = await self._control.mint(
                call, ttl_s=ttl_s, realtime=realtime, traceparent=self._record.traceparent(span)
            )
            self._record.minted(
                fingerprint=self._digest(secret.value),
                ttl_s=ttl_s,
                expires_at_s=secret.expires_at_s,
                provider_s=secret.provider_s,
            )
            return secret

        return await self._steps.timed(Step.MINT, mint)

    async def create(self, secret: ClientSecret, fields: Mapping[str, Any]) -> Created:
        """The session on that secret, with these fields of its body. Raises StepError; what it made is owned then."""
        return await self._steps.timed(
            Step.CREATE,
            lambda call, span: self._owned.create(
                self._control.create(call, secret=secret, fields=fields, traceparent=self._record.traceparent(span))
            ),
        )

    async def create_at_backend(self, *, user: int, iteration: int) -> Created:
        """The session that the integrator's own endpoint makes, which mints too. Raises StepError."""
        return await self._steps.timed(
            Step.CREATE,
            lambda call, span: self._owned.create(
                self._control.create_at_backend(
                    call,
                    user=user,
                    iteration=iteration,
                    trace_id=self._record.session,
                    traceparent=self._record.traceparent(span),
                )
            ),
        )
