"""What the sessions heard of their avatars: holes, jitter and loss. Told of each when it has left its room."""

from typing import Any

import pandas as pd

from loadtest.events.kinds import Way
from reports.data.frames import Run
from reports.data.measures import quantiles, seconds


def section(run: Run) -> dict[str, Any]:
    """`media` of report.json, over the whole run. A session that heard no frame is in none of it.

    heard_s: for how long all of them listened, from their first frame to the end of the last one; underruns: how often
    their avatars' speech ran dry meanwhile for a player with a buffer of 100 ms, for stalled_s in all. gap: the longest
    wait for a frame of speech, and jitter: its mean deviation, a value per session that heard it. packets: of rooms
    that number them. ahead: speech that came faster than it plays, beyond the 0.3 s that a player keeps; a fact about
    the room, and no fault. None: nothing of the kind was observed, as in journals of before it was measured.
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
        "ahead": _ahead(rows),
        "packets": {"expected": expected, "lost": lost} if len(numbered) else None,
        "packet_loss": round(lost / expected, 9) if expected else None,
        "line": _line(run),
    }


def _ahead(rows: pd.DataFrame) -> dict[str, Any] | None:
    measured = rows["ahead_ns"].dropna()
    if not len(measured):
        return None
    return {"sessions": int((measured > 0).sum()), "sound_s": round(float(measured.sum()) / 1e9, 6)}


def _line(run: Run) -> dict[str, Any] | None:
    """What the callers' own lines did (`[caller]` of the scenario), which is in no other figure; None: they had none.

    added: what a line added to the question and answer of each answered turn, both ways together. loss is what never
    arrived, a share of packets; held: sent again, and late. delay: mean of all that arrived, and the longest.
    """
    if not len(run.lines):
        return None
    turns = run.turns
    added_s = seconds(turns[turns["first_audio_ns"].notna()]["line_ns"])
    ways = {str(way): _way(run.lines[run.lines["way"] == way]) for way in Way}
    return {"sessions": run.lines["session"].nunique(), "added": {"count": len(added_s), **quantiles(added_s)}, **ways}


def _way(rows: pd.DataFrame) -> dict[str, Any]:
    packets, lost = int(rows["packets"].sum()), int(rows["lost"].sum())
    arrived = rows["packets"] - rows["lost"]
    took_ns = float((rows["delay_ns"] * arrived).sum())
    return {
        "packets": packets,
        "lost": lost,
        "loss": round(lost / packets, 9) if packets else None,
        "held": int(rows["held"].sum()),
        "delay_mean_s": round(took_ns / 1e9 / int(arrived.sum()), 9) if arrived.sum() else None,
        "delay_max_s": round(float(rows["delay_max_ns"].max()) / 1e9, 9) if len(rows) else None,
        "underruns": int(rows["underruns"].sum()),
        "stalled_s": round(float(rows["stalled_ns"].sum()) / 1e9, 6),
    }
