"""The client secret's life: how old it was at each use, and how much of it was left."""

from typing import Any

import pandas as pd

from loadtest.events import Step
from reports.frames import Run
from reports.measures import quantile, quantiles
from reports.sessions import first_ok


def uses(run: Run) -> pd.DataFrame:
    """A row per secret: age_at_create_s (create sent), age_at_connect_s and margin_s (connect succeeded), skew_s.

    Ages and margins are by our monotonic clock from the answer of the mint and the TTL that was asked for. skew_s: the
    provider's clock minus ours, from `expires_at`, which is in whole seconds, so it is known to a second.
    """
    secrets = run.secrets.drop_duplicates("session").set_index("session")
    created = run.steps[run.steps["step"] == Step.CREATE].drop_duplicates("session").set_index("session")
    connected_ns = first_ok(run, Step.CONNECT)["t_ns"].reindex(secrets.index)
    minted_ns = secrets["t_ns"]
    return pd.DataFrame(
        {
            "ttl_s": secrets["ttl_s"],
            "age_at_create_s": (created["started_ns"].reindex(secrets.index) - minted_ns) / 1e9,
            "age_at_connect_s": (connected_ns - minted_ns) / 1e9,
            "margin_s": secrets["ttl_s"] - (connected_ns - minted_ns) / 1e9,
            "skew_s": secrets["expires_at_s"] - secrets["ttl_s"] - secrets["wall_ns"] / 1e9,
        }
    )


def section(run: Run) -> dict[str, Any]:
    """`secrets` of report.json. reused: secrets that more than one session used."""
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
    }
