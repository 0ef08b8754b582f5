"""What the sessions heard of their avatars: holes, jitter and loss. Told of each when it has left its room."""

from typing import Any

from reports.data.frames import Run
from reports.data.measures import quantiles, seconds


def section(run: Run) -> dict[str, Any]:
    """`media` of report.json, over the whole run. A session that heard no frame is in none of it.

    heard_s: for how long all of them listened, from their first frame to the end of the last one; underruns: how often
    their avatars' speech ran dry meanwhile for a player with a buffer of 100 ms, for stalled_s in all. gap: the longest
    wait for a frame of speech, and jitter: its mean deviation, a value per session that heard it. packets: of rooms
    that number them. None: nothing of the kind was observed, as in journals of before it was measured.
    """
    rows = run.media
    timed = rows[rows["heard_ns"].notna()]
    heard_s = float(timed["heard_ns"].sum()) / 1e9
    numbered = rows[rows["packets_lost"].notna()]
    lost = int(numbered["packets_lost"].sum())
    expected = int(numbered["frames"].sum()) + lost
    gap_s, jitter_s = seconds(rows["gap_max_ns"]), seconds(rows["jitter_ns"])
    return {
        "sessions": len(rows),
        "frames": int(rows["frames"].sum()),
        "heard_s": round(heard_s, 3) if len(timed) else None,
        "underruns": int(rows["underruns"].sum()),
        "underruns_per_minute": round(int(timed["underruns"].sum()) * 60 / heard_s, 9) if heard_s else None,
        "stalled_s": round(float(rows["stalled_ns"].sum()) / 1e9, 6),
        "gap": {"count": len(gap_s), **quantiles(gap_s)},
        "jitter": {"count": len(jitter_s), **quantiles(jitter_s)},
        "packets": {"expected": expected, "lost": lost} if len(numbered) else None,
        "packet_loss": round(lost / expected, 9) if expected else None,
    }
