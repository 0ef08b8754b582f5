"""How long client secrets live: as was asked for, by default, out of bounds (EXP-3, EXP-4, EXP-5)."""

from loadtest.events.kinds import ROUNDING_S, SecretMinted
from loadtest.probes.active_checks.expiry import start_refused
from loadtest.probes.bench.bench import Bench, NotTestedError, Probe
from loadtest.probes.bench.subject import QUOTA_STATUS
from loadtest.probes.bench.wire import Answer
from loadtest.rules.expiry import TTL_TOLERANCE_S, WRONGEST_CLOCK_S
from loadtest.system.clock import now_ns, wall_ns
from loadtest.text.validation import plain, stamp_s

BOUNDS = {9: False, 10: True, 7200: True, 7201: False}
DEFAULT_TTL_S = 600
AGED_TTL_S, AGED_SHARE = 90, 0.72
"""A secret that is used after more than a minute: as long as the beta's lived."""


async def lifetimes(bench: Bench) -> None:
    """TTLs as asked for, by default, and out of bounds; nothing is created."""
    async with bench.subject():
        session = {"session": bench.realtime(None)}

        async def mint(ttl_s: int | None) -> Answer:
            wanted = {} if ttl_s is None else {"expires_after": {"anchor": "created_at", "seconds": ttl_s}}
            return await bench.wire.mint({**session, **wanted})

        asked = {ttl_s: await mint(ttl_s) for ttl_s in (*BOUNDS, None)}
        wrong = [
            f"{ttl_s} s: HTTP {answer.status}"
            for ttl_s, accepted in BOUNDS.items()
            if (answer := asked[ttl_s]).ok != accepted or answer.status // 100 == 5
        ]
        if any(answer.status in QUOTA_STATUS for answer in asked.values()):
            raise NotTestedError("the mint's limit is used up")
        bench.judge("EXP-4", not wrong, "; ".join(wrong) or "10 and 7200 s accepted, 9 and 7201 s refused")
        lives = {ttl_s or DEFAULT_TTL_S: asked[ttl_s] for ttl_s in (None, 10, 7200) if asked[ttl_s].ok}
        if not asked[None].ok:
            raise NotTestedError(f"a mint without a TTL answered HTTP {asked[None].status}")
        found = [_minted(ttl_s, answer) for ttl_s, answer in lives.items()]
        off = [secret for secret in found if not _fits(secret, found)]
        seen = ", ".join(
            f"{secret.ttl_s} s {'by default' if secret.ttl_s == DEFAULT_TTL_S else 'asked'}, {secret.told_s:.0f} s left"
            for secret in found
        )
        bench.judge("EXP-3", not off, seen)
        values = [plain(answer.fields.get("value")) for answer in (*lives.values(), await mint(None))]
        bench.judge(
            "EXP-5", len({*values}) == len(values), f"{len({*values})} different secrets of {len(values)} mints"
        )


def _minted(asked_s: int, answer: Answer) -> SecretMinted:
    """The secret of an answer, for what its `expires_at` says; it is in no journal."""
    return SecretMinted(
        t_ns=now_ns(), session="", fingerprint="", ttl_s=asked_s, wall_ns=wall_ns(), provider_s=answer.provider_s,
        expires_at_s=int(stamp_s(answer.fields.get("expires_at")) or 0),
    )  # fmt: skip


def _fits(secret: SecretMinted, found: list[SecretMinted]) -> bool:
    if secret.provider_s is not None:
        return abs(secret.off_s) <= TTL_TOLERANCE_S + ROUNDING_S
    # By the difference of two answers, so that a clock that differs from ours is nobody's fault.
    others = [other for other in found if other.ttl_s != secret.ttl_s]
    skew_fits = any(abs(secret.off_s - other.off_s) <= TTL_TOLERANCE_S for other in others)
    return abs(secret.off_s) <= TTL_TOLERANCE_S or (skew_fits and abs(secret.off_s) < WRONGEST_CLOCK_S)


async def aged(bench: Bench) -> None:
    """A session on a secret that is old, and not as old as its expires_at says."""
    ttl_s = bench.shortest(AGED_TTL_S)
    age_s = ttl_s * AGED_SHARE
    async with bench.subject() as subject:
        minted_ns = now_ns()
        secret = await subject.mint(ttl_s=ttl_s)
        await bench.pass_time(age_s)
        seen = await start_refused(bench, subject, secret)
        if seen.hung:
            raise NotTestedError(f"{seen.hung} was not answered")
        if seen.conversed:
            bench.judge("EXP-3", True, f"a secret of {ttl_s} s was good {age_s:.0f} s after its mint")
            return
        if bench.service_s(now_ns() - minted_ns) > ttl_s - 1 and not seen.refused_at:
            raise NotTestedError("we were too slow to use a secret before its expiry")
    async with bench.subject() as control:
        if not (await start_refused(bench, control, await control.mint())).conversed:
            raise NotTestedError("a fresh secret led to no conversation either")
        how = f"refused by {seen.refused_at}" if seen.refused_at else "good for nothing"
        bench.judge("EXP-3", False, f"a secret of {ttl_s} s was {how} {age_s:.0f} s after its mint", subject)


PROBES = (
    Probe(rules=("EXP-3",), run=aged, lasts_s=AGED_TTL_S * AGED_SHARE),
    Probe(rules=("EXP-4", "EXP-3", "EXP-5"), run=lifetimes),
)
