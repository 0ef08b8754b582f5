"""How much life a secret has left: one answer for the metric, the objective, the search, the rules and the report,
whatever the clocks show and whatever the provider grants."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from exporters.metrics import catalogue as c
from exporters.metrics.aggregate import Aggregate
from loadtest.capacity.stages import Stages
from loadtest.criteria.objectives import Objectives
from loadtest.criteria.slo import Slo
from loadtest.events.kinds import Event, Mark, Observed, SecretMinted, StageStarted, Step, StepFinished
from loadtest.rules.rulebook import Rulebook
from reports.sections.timeline import timeline
from tests.reports import journals as j

TTL_S = 600
AGE_S = 0.7
"""Of the secret when the session is connected."""

AS_ASKED = {
    "both clocks are right": (0, TTL_S, True),
    "our clock is 60 s ahead": (-60, TTL_S, True),
    "our clock is 60 s behind": (60, TTL_S, True),
    "our clock is in another time zone": (7200, TTL_S, True),
    "the provider tells no time": (0, TTL_S, False),
}
"""By how much the provider's clock is ahead of ours, what it grants, and whether it says what its clock shows."""
LESS = {
    "20 of 600 s": (0, 20, True),
    "20 of 600 s, our clock is 60 s ahead": (-60, 20, True),
    "20 of 600 s, our clock is 60 s behind": (60, 20, True),
}
UNKNOWN = {
    "the provider tells no time, our clock is 60 s ahead": (-60, TTL_S, False),
    "the provider tells no time, our clock is 60 s behind": (60, TTL_S, False),
    "20 of 600 s, and the provider tells no time": (0, 20, False),
}


def connected(case: tuple[int, int, bool]) -> list[Event]:
    """A session whose secret was answered half-way through a second."""
    ahead_s, granted_s, tells = case
    provider_s = (j.WALL_NS + j.ns(1.6)) // 10**9 + ahead_s
    told = {"expires_at_s": provider_s + granted_s, "provider_s": provider_s if tells else None}
    begun, mint, secret, *rest = j.good_session(1, 1.5)
    assert isinstance(secret, SecretMinted)
    return [begun, replace(secret, wall_ns=j.WALL_NS + j.ns(1.6), **told), mint, *rest]  # as the engine says them


def bound(limit_s: float) -> list[Slo]:
    return [Slo(name="margin", indicator="secret.margin.min", min=limit_s)]


def margins(case: tuple[int, int, bool], run_dir: Path) -> Mapping[str, float | None]:
    """What each of those who tell it makes of the same secret."""
    events = connected(case)
    aggregate, book, search = Aggregate(["support-call"]), Rulebook({}), Stages(bound(0))
    search.add(StageStarted(t_ns=j.at(0), stage="1", users=1, steady=True))
    for event in events:
        aggregate.add(event)
        search.add(event)
        if isinstance(event, StepFinished) and event.step is Step.CONVERSE:
            break
        book.add(event)
    search.add(StageStarted(t_ns=j.at(30), stage="2", users=0, steady=False))
    (histogram,) = aggregate.snapshot()[c.SECRET_MARGIN.name].values()
    assert isinstance(histogram, list)
    life = book._lives[j.sid(1)]
    assert life.connected_ns is not None
    j.write_file(run_dir, events)
    report = j.reported(run_dir, slos=bound(0))
    return {
        "metric": histogram[-1] if any(histogram) else None,
        "rules": None if life.secret is None else life.secret.left_s(life.connected_ns),
        "search": search.facts()[0].slos[0].observed,
        "report": report["secrets"]["min_margin_s"],
        "report's objective": report["slos"][0]["observed"],
    }


def broken_at(case: tuple[int, int, bool], limit_s: float) -> int:
    """How often the live objective counts the margin as too small."""
    fold = Objectives(bound(limit_s))
    for event in connected(case):
        fold.add(event)
    return sum(row[2] for row in fold.value(j.at(60))["slots"][0])


@pytest.mark.parametrize("case", AS_ASKED.values(), ids=AS_ASKED)
def test_a_secret_that_was_granted_as_asked_has_the_same_life_left_for_everybody(
    case: tuple[int, int, bool], run_dir: Path
) -> None:
    assert set(margins(case, run_dir).values()) == {TTL_S - AGE_S}
    assert (broken_at(case, TTL_S - AGE_S - 0.001), broken_at(case, TTL_S - AGE_S + 0.001)) == (0, 1)


@pytest.mark.parametrize("case", LESS.values(), ids=LESS)
def test_a_secret_that_was_granted_less_is_that_short_for_everybody(case: tuple[int, int, bool], run_dir: Path) -> None:
    told = set(margins(case, run_dir).values())
    assert told == {20 - AGE_S - 0.5}  # the provider's clock shows whole seconds: half a one is what is not known
    assert (broken_at(case, 18), broken_at(case, 20)) == (0, 1)


@pytest.mark.parametrize("case", UNKNOWN.values(), ids=UNKNOWN)
def test_nobody_tells_a_number_where_a_wrong_clock_and_a_short_grant_look_alike(
    case: tuple[int, int, bool], run_dir: Path
) -> None:
    assert set(margins(case, run_dir).values()) == {None}
    assert broken_at(case, 7200) == 0


def test_a_short_grant_is_no_wrong_clock(run_dir: Path) -> None:
    j.write_file(run_dir, connected(LESS["20 of 600 s, our clock is 60 s behind"]))
    assert j.reported(run_dir)["secrets"]["skew"]["median_s"] == pytest.approx(60.4, abs=1)


def test_what_the_rules_make_of_a_short_grant_and_of_a_wrong_clock() -> None:
    def outcome(rule: str, case: tuple[int, int, bool]) -> tuple[int, int]:
        book = Rulebook({})
        for event in connected(case):
            book.add(event)
        tally = book.tally(rule)
        return tally.cases, tally.violations

    cases = {**AS_ASKED, **LESS, **UNKNOWN}
    assert {name: outcome("EXP-3", case) for name, case in cases.items()} == (
        dict.fromkeys(AS_ASKED, (1, 0)) | dict.fromkeys(LESS, (1, 1)) | dict.fromkeys(UNKNOWN, (0, 0))
    )


def test_a_session_that_is_up_late_in_a_short_life_left_no_margin() -> None:
    book = Rulebook({})
    for event in connected((0, 20, True)):
        late = replace(event, t_ns=event.t_ns + j.ns(17)) if getattr(event, "step", None) is Step.CONNECT else event
        book.add(late)
    assert (book.tally("EXP-8").cases, book.tally("EXP-8").violations) == (1, 1)


def test_a_time_line_says_for_how_long_a_secret_is_good(run_dir: Path) -> None:
    def line(case: tuple[int, int, bool], path: Path) -> str:
        j.write_file(path, connected(case))
        return next(line for line in timeline(path, j.sid(1)).splitlines() if "secret" in line)

    assert line(AS_ASKED["our clock is 60 s ahead"], run_dir / "a").endswith("secret minted, valid for 600 s")
    assert line(LESS["20 of 600 s"], run_dir / "b").endswith("valid for 20 s, not for 600 s as asked")
    unknown = line(UNKNOWN["20 of 600 s, and the provider tells no time"], run_dir / "c")
    assert unknown.endswith("asked to be valid for 600 s; by our clock, the only one, it is for 19 s")


def test_the_set_up_ends_when_the_session_is_connected_and_not_with_the_avatars_first_frame() -> None:
    aggregate = Aggregate(["support-call"])
    for event in j.good_session(1, 1):
        aggregate.add(event)
        if isinstance(event, StepFinished) and event.step is Step.CREATE:
            frame = Observed(t_ns=j.at(1.5), session=j.sid(1), mark=Mark.FIRST_FRAME)
            aggregate.add(frame)
    snapshot = aggregate.snapshot()
    assert [values[-1] for values in snapshot[c.SESSION_SETUP.name].values()] == [0.8]
    assert [values[-1] for values in snapshot[c.FIRST_FRAME.name].values()] == [0.5]


def test_a_secret_tells_its_age_and_what_is_left_before_and_after_its_end() -> None:
    secret = SecretMinted(
        t_ns=5_000_000_000, session="", fingerprint="", ttl_s=600, expires_at_s=620, wall_ns=10**10, provider_s=10
    )
    assert [secret.age_s(at_s * 10**9) for at_s in (5, 65)] == [0.0, 60.0]
    assert [secret.left_s(at_s * 10**9) for at_s in (5, 65, 705)] == [609.5, 549.5, -90.5]
    assert secret.off_s == 10
    assert replace(secret, provider_s=None, wall_ns=20 * 10**9).left_s(605 * 10**9) == 0.0
    assert replace(secret, provider_s=None).left_s(5 * 10**9) is None
