"""What a terminal shows while a run goes on, as values: exact rows, however small it is."""

from msgspec.structs import replace

from loadtest.criteria.objectives import Standing, State
from loadtest.criteria.slo import DEFAULT_SLOS, Slo
from loadtest.progress.glance import Glance, Times
from loadtest.progress.progress import ENDS
from loadtest.progress.screen import Plan, plain, rows

P95 = Slo(name="turn.time_to_first_audio.p95", indicator="turn.time_to_first_audio.p95", max=1.5)
MARGIN = Slo(name="secrets live long enough", indicator="secret.margin.min", min=10, window_s=30)
PLAN = Plan(
    title="checkout: 50 users for 2m on http://127.0.0.1:4242/v1",
    duration_s=120,
    grace_s=35,
    slos=(*DEFAULT_SLOS, P95, MARGIN),
)
NOW = Glance(
    elapsed_s=72.4,
    begun=True,
    fitness=("suspect", "event loop lag: p99 23 ms"),
    active=48,
    target=50,
    open=47,
    started=163,
    ok=1112,
    failed=3,
    leaked=1,
    doubtful=2,
    rates=(1.7, 1.84),
    setup=Times(count=18, p50_s=0.41, p95_s=0.923, first_s=0.01, last_s=60),
    first_audio=Times(count=54, p50_s=0.01, p95_s=None, first_s=0.01, last_s=60),
    failures=(("create", "rejected", "http_5xx", 2), ("turn", "no_response", "no_answer", 1)),
    objectives=(
        Standing(state=State.MISSED, count=115, beyond=3),
        Standing(state=State.MET, count=1340, beyond=0),
        Standing(state=State.MET, count=1340, beyond=12),
        Standing(state=State.OPEN, count=0, beyond=0),
    ),
    rules_broken=("EXP-1", "TD-3"),
)
QUIET = Glance(elapsed_s=1, begun=True)


def shown(now: Glance, plan: Plan = PLAN, *, width: int = 80, height: int = 23, level: str | None = None) -> list[str]:
    return [row.plain.rstrip() for row in rows(now, plan, hint=ENDS, width=width, height=height, level=level)]


def test_a_run_in_trouble_fits_into_80_columns_and_24_rows() -> None:
    assert shown(NOW) == [
        "checkout: 50 users for 2m on http://127.0.0.1:4242/v1",
        "━━━━━━━━━━━━━━──────────  1:12 min of 2:00 min, 48 s left",
        "",
        "sessions      48 active of 50 · 1,112 done · 3 failed (0.27 %) · 1.8 ended/s",
        "              1 left behind · 2 doubtful",
        "",
        "last 10 s           p50        p95    samples",
        "set-up         ≈ 410 ms   ≈ 920 ms         18",
        "first audio     < 10 ms     > 60 s         54",
        "",
        "objectives: 1 missed so far, 1 too few yet, 2 met so far",
        "✗ sessions that fail ≤ 1 %                           3 of 115 bad  missed so far",
        "· secrets live long enough ≥ 10 s                      no samples  too few yet",
        "✓ turns that fail ≤ 1 %                            0 of 1,340 bad  met so far",
        "✓ turn.time_to_first_audio.p95 ≤ 1.5 s          12 of 1,340 above  met so far",
        "",
        "failures, so far: step · kind · code",
        "      2 × create · rejected · http_5xx",
        "      1 × turn · no_response · no_answer",
        "",
        "rules broken  EXP-1, TD-3",
        "generator     suspect: event loop lag: p99 23 ms",
        ENDS,
    ]


def test_sessions_that_the_generator_failed_stand_apart_and_are_no_part_of_the_share() -> None:
    assert shown(replace(NOW, generator_failed=40))[3:5] == [
        "sessions      48 active of 50 · 1,112 done · 3 failed (0.27 %) · 1.8 ended/s",
        "              40 failed by the generator · 1 left behind · 2 doubtful",
    ]


def test_many_objectives_and_failures_are_cut_and_counted_and_nothing_is_wider_or_higher_than_the_terminal() -> None:
    slos = tuple(replace_name(P95, f"objective {number} {'x' * 200}") for number in range(40))
    many = replace(
        NOW,
        objectives=(Standing(state=State.MISSED, count=10**9, beyond=10**9),) * 40,
        failures=(("connect", "transport", "daily_connection_error", 10**9),) * 8,
        more_failures=30,
        rules_broken=tuple(f"RULE-{number}" for number in range(40)),
        fitness=("invalid", "why " * 100),
    )
    plan = Plan(title="z" * 300, duration_s=120, grace_s=35, slos=slos)
    for width, height in ((80, 23), (120, 39), (40, 10), (30, 3), (20, 1)):
        found = shown(many, plan, width=width, height=height)
        assert len(found) <= height
        assert max(map(len, found)) <= width
    low, high = (shown(many, plan, width=width, height=height) for width, height in ((80, 23), (120, 39)))
    assert [row for row in low if row.endswith("more")] == ["  and 39 more", "  and 36 more"]
    assert [row for row in high if row.endswith("more")] == ["  and 24 more", "  and 36 more"]


def replace_name(slo: Slo, name: str) -> Slo:
    return Slo(name=name, indicator=slo.indicator, max=slo.max)


def test_what_has_not_happened_is_not_told() -> None:
    assert shown(QUIET, Plan(title="t", duration_s=60, grace_s=5)) == [
        "t",
        "────────────────────────  1 s of 1:00 min, 59 s left",
        "",
        "sessions      0 active · 0 done · 0 failed · 0.0 ended/s",
        "",
        "last 10 s           p50        p95    samples",
        "set-up                –          –          0",
        "first audio           –          –          0",
        "",
        "generator     valid",
        ENDS,
    ]


def test_after_its_time_it_says_for_how_long_it_may_go_on() -> None:
    assert shown(replace(QUIET, elapsed_s=130))[1] == (
        "━━━━━━━━━━━━━━━━━━━━━━━━  finishing what is in progress: 10 s of at most 35 s"
    )


def test_a_search_shows_its_level_and_no_seconds_of_its_time() -> None:
    level = "level 3: 40 users, growing: settling, 2 of 8 s"
    found = shown(NOW, Plan(title="t", duration_s=None, grace_s=5), level=level)
    assert found[:4] == ["t", level, "", "sessions      48 active of 50 · 1,112 done · 3 failed (0.27 %) · 1.8 ended/s"]
    assert plain(NOW, PLAN, level=level).startswith(f"{level} · active 48")


def test_active_checks_show_what_is_open_and_no_figures_of_a_load() -> None:
    plan = Plan(title="probe: active checks", duration_s=None, grace_s=900, slos=PLAN.slos, load=False)
    assert shown(replace(QUIET, elapsed_s=3725, open=4, objectives=NOW.objectives), plan) == [
        "probe: active checks",
        "1:02:05 h so far",
        "",
        "checks        4 sessions open at the target",
        "",
        "generator     valid",
        ENDS,
    ]


def test_elsewhere_it_is_one_line() -> None:
    assert plain(NOW, PLAN) == (
        "1:12 min of 2:00 min, 48 s left · active 48 · done 1,112 · failed 3 · left behind 1 · doubtful 2 · "
        "first audio p95 > 60 s · 1 objective missed so far · rules broken EXP-1, TD-3 · "
        "generator suspect: event loop lag: p99 23 ms"
    )
    assert plain(QUIET, PLAN) == "1 s of 2:00 min, 1:59 min left · active 0 · done 0 · failed 0"


def test_no_text_of_a_run_is_obeyed_by_the_terminal() -> None:
    evil = "\x1b[2J\r\x9b31m::error::x\nnext"
    plan = Plan(title=evil, duration_s=10, grace_s=1, slos=(replace_name(P95, evil),))
    now = replace(QUIET, fitness=("suspect", evil), objectives=(Standing(state=State.MET, count=1, beyond=0),))
    for row in [*shown(now, plan, level=evil), plain(now, plan)]:
        assert row.isprintable(), row
