"""The client secret's life: how old it was at each use, what became of uses near its end, and whose clock said so."""

from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from loadtest.events.kinds import ON_A_SECRET, Outcome, RuleOutcome, Step, share_used
from reports.data.frames import Run
from reports.data.measures import counts, quantile, quantiles
from reports.sections.sessions import first_ok

BANDS: Final = ((0, 0.25), (50, 0.75), (90, 0.95), (99, 1.0), (101, np.inf))
"""Point of the TTL in percent, and the share of it up to which a use is nearest to that point."""
_PROBED: Final = {0: ("EXP-3", "EXP-7"), 101: ("EXP-1", "EXP-1b", "EXP-2")}
"""Rules whose probes try a secret at that age."""
_BARS: Final = 24
_BUCKETS: Final = 12


def uses(run: Run) -> pd.DataFrame:
    """A row per session with a secret: t_ns (minted), age_at_create_s and left_at_create_s (create sent),
    age_at_connect_s, margin_s and connected_ns (connect succeeded), share (of its life, gone) and outcome of its last
    use: the end of the last step on it; skew_s, date_skew_s.

    Ages and what is left are by our monotonic clock, as `SecretMinted.age_s` and `left_s` tell them of one secret;
    nothing is left of a life that isn't known. skew_s: the provider's clock minus ours, from
    `expires_at`, which is in whole seconds, so it is known to a second; date_skew_s: the same from its Date header.
    """
    secrets = run.secrets.drop_duplicates("session").set_index("session")
    steps = run.steps[["session", "started_ns", "t_ns", "outcome", "kind"]]
    created = steps[run.steps["step"] == Step.CREATE].drop_duplicates("session").set_index("session")
    connected_ns = first_ok(run, Step.CONNECT)["t_ns"].reindex(secrets.index)
    last = steps[run.steps["step"].isin(ON_A_SECRET)].drop_duplicates("session", keep="last").set_index("session")
    last = last.reindex(secrets.index)
    lives_s, wall_s = secrets["lives_s"], secrets["wall_ns"] / 1e9
    age_at_create_s, age_at_connect_s, age_s = (
        (at_ns.reindex(secrets.index) - secrets["t_ns"]) / 1e9
        for at_ns in (created["started_ns"], connected_ns, last["t_ns"])
    )
    return pd.DataFrame(
        {
            "t_ns": secrets["t_ns"],
            "connected_ns": connected_ns,
            "age_at_create_s": age_at_create_s,
            "age_at_connect_s": age_at_connect_s,
            "left_at_create_s": lives_s - age_at_create_s,
            "margin_s": lives_s - age_at_connect_s,
            "share": list(map(share_used, age_s, lives_s)),
            "outcome": last["outcome"],
            "skew_s": secrets["expires_at_s"] - lives_s.fillna(secrets["ttl_s"]) - wall_s,
            "date_skew_s": secrets["provider_s"] - wall_s,
        }
    )


def section(run: Run, everything: Run) -> dict[str, Any]:
    """`secrets` of report.json. reused: secrets that more than one session used. `everything`: the run with its probes,
    which `at_share_of_ttl` counts too."""
    found = uses(run)
    margin_s = found["margin_s"].dropna()
    holders = run.secrets.groupby("fingerprint")["session"].nunique()
    return {
        "minted": len(run.secrets),
        "reused": int((holders > 1).sum()),
        "age_at_create": quantiles(found["age_at_create_s"].dropna(), ("p50", "max")),
        "age_at_connect": quantiles(found["age_at_connect_s"].dropna(), ("p50", "max")),
        "min_margin_s": round(float(margin_s.min()), 9) if len(margin_s) else None,
        "skew_s": quantile(found["skew_s"].dropna(), 0.5),
        "skew": _skew(run, found),
        "histograms": {
            "age_at_create": histogram(found["age_at_create_s"]),
            "age_at_connect": histogram(found["age_at_connect_s"]),
            "margin_at_create": histogram(found["left_at_create_s"]),
            "margin_at_connect": histogram(found["margin_s"]),
        },
        "at_share_of_ttl": _near_the_end(everything, found if everything is run else uses(everything)),
    }


def histogram(values_s: "pd.Series[Any]") -> list[dict[str, Any]]:
    """Bars of one round width, from_s ≤ value < to_s; empty ones are left out."""
    values = values_s.dropna().to_numpy(dtype=float)
    if not len(values):
        return []
    low, high = float(values.min()), float(values.max())
    rough = max(high - low, 0.001) / _BARS
    exponent = 10.0 ** np.floor(np.log10(rough))
    width = next(step for step in (1, 2, 5, 10) if rough <= step * exponent) * exponent
    number = np.floor(values / width + 1e-9).astype(int)
    bars, sizes = np.unique(number, return_counts=True)
    return [
        {"from_s": round(float(bar * width), 9), "to_s": round(float((bar + 1) * width), 9), "count": int(size)}
        for bar, size in zip(bars, sizes, strict=True)
    ]


def _near_the_end(run: Run, found: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per point of the TTL: percent, uses, connected, failed, cancelled, probes, tested. A probe's own session is
    no use here: that it reached a room says nothing, what it found there does."""
    found = found[~found.index.isin(run.checks["session"])]
    rows, below = [], -np.inf
    for percent, limit in BANDS:
        inclusive: Literal["left", "both"] = "both" if limit == np.inf else "left"
        outcome = counts(found.loc[found["share"].between(below, limit, inclusive=inclusive), "outcome"])
        below = limit
        checks = run.checks[
            run.checks["rule"].isin(_PROBED.get(percent, ())) & (run.checks["outcome"] != RuleOutcome.NOT_TESTED)
        ]
        probes = [
            {"rule": str(rule), "outcome": str(told), "detail": str(detail)}
            for rule, told, detail in zip(checks["rule"], checks["outcome"], checks["detail"], strict=True)
        ]
        used = sum(outcome.values())
        rows.append(
            {
                "percent": percent,
                "uses": used,
                "connected": outcome.get(Outcome.OK, 0),
                "failed": outcome.get(Outcome.FAILED, 0),
                "cancelled": outcome.get(Outcome.CANCELLED, 0),
                "probes": probes[:10],
                "tested": bool(used or probes),
            }
        )
    return rows


def _skew(run: Run, found: pd.DataFrame) -> dict[str, Any]:
    """The provider's clock minus ours. Half a second is added to what was cut to whole ones. over_run: the median of
    each twelfth of the run; drift_s: between the lowest and the highest of them."""
    from_expiry = (found["skew_s"] + 0.5).dropna()
    from_date = (found["date_skew_s"] + 0.5).dropna()
    length_ns = max(run.end_ns - run.start_ns, 1)
    bucket = ((found["t_ns"] - run.start_ns) * _BUCKETS // length_ns).clip(0, _BUCKETS - 1)
    medians = from_expiry.groupby(bucket.reindex(from_expiry.index)).median()
    return {
        "count": len(from_expiry),
        "median_s": quantile(from_expiry, 0.5),
        "p5_s": quantile(from_expiry, 0.05),
        "p95_s": quantile(from_expiry, 0.95),
        "drift_s": round(float(medians.max() - medians.min()), 6) if len(medians) else None,
        "date_median_s": quantile(from_date, 0.5),
        "over_run": [
            {"from_s": round(number * length_ns / _BUCKETS / 1e9, 3), "median_s": round(median, 6)}
            for number, median in zip(medians.index.tolist(), medians.tolist(), strict=True)
        ],
    }
