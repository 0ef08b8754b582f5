"""`[cost]`: what things cost, and what a run may spend."""

from typing import Any

from pydantic import Field, field_validator

from loadtest.config.keys.scenario import Section
from loadtest.errors.exceptions import ConfigError
from loadtest.prices import table


class Cost(Section):
    """What things cost, and what a run may spend."""

    budget: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="USD that a run spends at most: each session's worst case is reserved",
    )
    prices: dict[str, Any] = Field(
        default_factory=dict, description="rows of a price table of your own, over ours (`avaload prices`)"
    )
    model: str | None = Field(None, description="model that sessions of your own endpoint talk to, for its price")
    transcription: str | None = Field(None, description="the same of what transcribes their users")

    @field_validator("prices")
    @classmethod
    def _can_be_read(cls, own: dict[str, Any]) -> dict[str, Any]:
        try:
            return table.plain(own)
        except ConfigError as error:
            raise ValueError("\n".join(error.problems)) from None

    @property
    def table(self) -> table.Prices:
        """The prices in force."""
        return table.prices(self.prices)
