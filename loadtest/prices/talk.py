"""What a talk costs: speech becomes tokens, tokens and minutes become money, and what has no price stays unknown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from loadtest.prices.table import Prices, Rates

_MILLION: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One session, as far as it is paid for. `turns`: seconds that the user spoke and that the avatar answered, per
    answer, in order. `unanswered_s`: that he spoke where no answer came at all: it is written down all the same.
    `reasoning`: thoughts cost as text; they aren't known here. `lived_s`: from the create's answer to the confirmed
    delete; 0: it never was."""

    model: str | None
    transcriber: str | None
    instructions: int = 0
    """Characters of the instructions and tools, which every answer reads."""
    dense: int = 0
    """So many of them are not ASCII: each may be a token of its own, as in Chinese."""
    unread: frozenset[str] = frozenset()
    """What else every answer reads, and nobody here knows how long it is."""
    turns: Sequence[tuple[float, float]]
    unanswered_s: float = 0.0
    lived_s: float


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of a talk. Cached ones are part of the input; `again` of it was read before, cached or not."""

    audio_in: float = 0.0
    audio_again: float = 0.0
    audio_out: float = 0.0
    text_in: float = 0.0
    text_again: float = 0.0
    text_out: float = 0.0

    def times(self, factor: float) -> "Tokens":
        return Tokens(*(getattr(self, name) * factor for name in self.__slots__))

    def and_also(self, other: "Tokens") -> "Tokens":
        return Tokens(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    @property
    def total(self) -> float:
        return self.audio_in + self.audio_out + self.text_in + self.text_out


@dataclass(frozen=True, slots=True)
class Usd:
    """Money with its range: from all that was read again being cached to none of it. `unknown`: what has no price and
    is therefore not in it."""

    value: float = 0.0
    low: float = 0.0
    high: float = 0.0
    unknown: frozenset[str] = frozenset()

    def plus(self, other: "Usd") -> "Usd":
        return Usd(self.value + other.value, self.low + other.low, self.high + other.high, self.unknown | other.unknown)

    def times(self, factor: float) -> "Usd":
        return Usd(self.value * factor, self.low * factor, self.high * factor, self.unknown)

    @property
    def is_known(self) -> bool:
        return not self.unknown

    def as_dict(self) -> dict[str, Any]:
        """For JSON. `usd` is None where a part of it isn't known; `known_usd` is the sum of what is."""
        return {
            "usd": _rounded(self.value) if self.is_known else None,
            "low_usd": _rounded(self.low) if self.is_known else None,
            "high_usd": _rounded(self.high) if self.is_known else None,
            "known_usd": _rounded(self.value),
            "unknown": sorted(self.unknown),
        }

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Usd":
        """Back from `as_dict`; of what is not wholly known the range of the rest is lost."""
        known = told["known_usd"]
        low, high = (known if told[key] is None else told[key] for key in ("low_usd", "high_usd"))
        return cls(known, low, high, frozenset(told["unknown"]))

    def words(self) -> str:
        """For people."""
        known = f"{usd_words(self.value)} USD"
        if usd_words(self.low) != usd_words(self.high):
            known += f" ({usd_words(self.low)} to {usd_words(self.high)})"
        if self.is_known:
            return known
        lacking = ", ".join(sorted(self.unknown))
        return f"unknown: no price for {lacking}" + (f"; the rest {known}" if self.high else "")


@dataclass(frozen=True, slots=True)
class Bill:
    """By whom it is charged."""

    model: Usd
    transcription: Usd
    avatar: Usd

    @property
    def total(self) -> Usd:
        return self.model.plus(self.transcription).plus(self.avatar)

    def plus(self, other: "Bill") -> "Bill":
        return Bill(
            self.model.plus(other.model),
            self.transcription.plus(other.transcription),
            self.avatar.plus(other.avatar),
        )

    def times(self, factor: float) -> "Bill":
        return Bill(self.model.times(factor), self.transcription.times(factor), self.avatar.times(factor))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model.as_dict(),
            "transcription": self.transcription.as_dict(),
            "avatar": self.avatar.as_dict(),
            "total": self.total.as_dict(),
        }


NOTHING: Final = Bill(Usd(), Usd(), Usd())


def tokens(talk: Talk, table: Prices, *, at_most: bool = False) -> Tokens:
    """Each answer reads the instructions and all that was said before it again. `at_most`: `dense` characters are a
    token each."""
    speech, dense = table.speech, talk.dense if at_most else 0
    found = Tokens()
    heard, said = 0.0, dense + (talk.instructions - dense) / speech.characters_per_token
    read_audio = read_text = 0.0
    for user_s, avatar_s in talk.turns:
        heard += user_s * speech.user_tokens_per_s
        out = avatar_s * speech.avatar_tokens_per_s
        text_out = out * speech.text_per_audio_token
        found = found.and_also(Tokens(heard, read_audio, out, said, read_text, text_out))
        read_audio, read_text = heard, said
        heard, said = heard + out, said + text_out
    return found


def bill(talk: Talk, table: Prices) -> Bill:
    """What it costs."""
    return Bill(_of_model(talk, table), _of_transcription(talk, table), _of_avatar(talk, table))


def bills(talks: Iterable[tuple[float, Talk]], table: Prices) -> Bill:
    """Of many together, each so many times: of shares that add up to 1, the mean session's."""
    total = NOTHING
    for times, talk in talks:
        total = total.plus(bill(talk, table).times(times))
    return total


def _of_model(talk: Talk, table: Prices) -> Usd:
    if not talk.turns:
        return Usd()
    price = table.model(talk.model)
    if price is None:
        return Usd(unknown=frozenset({f"model {talk.model}" if talk.model else "the model"}))
    used = tokens(talk, table)
    most = tokens(talk, table, at_most=True) if talk.dense else used
    value, low, high = (
        _side(price.audio, of.audio_in, of.audio_again * share, of.audio_out)
        + _side(price.text, of.text_in, of.text_again * share, of.text_out)
        for of, share in ((used, table.speech.cached_share), (used, 1.0), (most, 0.0))
    )
    return Usd(value, low, high, talk.unread)


def _side(rates: Rates, read: float, cached: float, out: float) -> float:
    return ((read - cached) * rates.input + cached * rates.cached + out * rates.output) / _MILLION


def _of_transcription(talk: Talk, table: Prices) -> Usd:
    spoken_s = sum(user_s for user_s, _ in talk.turns) + talk.unanswered_s
    if talk.transcriber is None or not spoken_s:
        return Usd()
    price = table.transcriber(talk.transcriber)
    if price is None:
        return Usd(unknown=frozenset({f"transcription by {talk.transcriber}"}))
    return _exact(spoken_s / 60 * price.per_minute)


def _of_avatar(talk: Talk, table: Prices) -> Usd:
    if not talk.lived_s:
        return Usd()
    if table.avatar.per_minute is None:
        return Usd(unknown=frozenset({"the avatar's minutes"}))
    return _exact(talk.lived_s / 60 * table.avatar.per_minute)


def _exact(usd: float) -> Usd:
    return replace(Usd(usd), low=usd, high=usd)


def _rounded(usd: float) -> float:
    return round(usd, 6)


def usd_words(usd: float) -> str:
    """An amount for people: cents, or three digits where it is less than ten of them; of millionths what is known."""
    return f"{usd:,.2f}" if usd >= 0.1 else f"{usd:.3g}" if usd >= 1e-4 else f"{usd:.6f}".rstrip("0").rstrip(".")
