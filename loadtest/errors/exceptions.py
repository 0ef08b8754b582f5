"""What avaload raises on purpose.

HarnessError
├── ConfigError        the operator's: exit 2, every problem at once
├── GeneratorError     ours: the run is invalid, exit 4
└── StepError          the target's: it becomes data (`events.Failure`), never a crash

Anything else that is raised is a bug (exit 1).
"""

from collections.abc import Sequence

from loadtest.errors.kinds import Code, Kind


class HarnessError(Exception):
    """Root of everything that avaload raises on purpose."""


class ConfigError(HarnessError):
    """The operator's input can't be used. `problems` holds one sentence per problem, all of them."""

    def __init__(self, problems: Sequence[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("; ".join(self.problems))


class GeneratorError(HarnessError):
    """The generator itself failed: what it measured says nothing about the target."""


class StepError(HarnessError):
    """The target failed a step.

    `sent` is False only where it is certain that the request never left this machine: it decides whether an
    unanswered create may have left a session behind. `http_status` is None where no answer came. `field`: of a good
    answer that was read, the one that is missing or not what it must be. `retry_after_s`: when a refusal says to come
    again.
    """

    def __init__(
        self,
        kind: Kind,
        code: Code,
        detail: str = "",
        *,
        http_status: int | None = None,
        sent: bool = True,
        field: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        self.kind, self.code, self.detail = kind, code, detail
        self.http_status, self.sent, self.field = http_status, sent, field
        self.retry_after_s = retry_after_s
        super().__init__(f"{kind}/{code}: {detail}" if detail else f"{kind}/{code}")
