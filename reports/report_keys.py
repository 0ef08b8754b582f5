"""What every key of report.json means, in the order in which it is written: docs/reference/report.md.

`NAME[]` is each entry of a list, `<…>` a key that the run decides, `{q}` each quantile. A test builds reports and finds
in them these keys and no others.
"""

from collections.abc import Mapping
from typing import Final

from loadtest.capacity.limit import LimitKind
from loadtest.criteria.slo import Unit
from loadtest.events.kinds import STEPS

QUANTILES: Final = ("p50_s", "p90_s", "p95_s", "p99_s", "max_s")
_PROBE: Final = {"rule": "its id", "outcome": "what the probe found", "detail": "what it did and saw"}


def _health(where: str) -> dict[str, str]:
    return {
        f"{where}.outcome": "valid, suspect or invalid",
        f"{where}.because[]": "why, in sentences",
        f"{where}.engine_lag_p99_s": "lag of the engine's loop, p99 of a second, in 95 % of the seconds",
        f"{where}.hub_lag_p99_s": "the same of Locust's loop",
        f"{where}.pacing_error_p99_s": "how late sound was sent, likewise",
        f"{where}.pool_wait_p99_s": "wait for a connection of our own, likewise",
        f"{where}.cpu_percent": "of one core, by one process, in 95 % of the seconds",
        f"{where}.steal_percent": "CPU time that went to other guests of the machine, likewise",
        f"{where}.open_files": "most open files of one process",
        f"{where}.events_lost": "events that did not reach a live view",
        f"{where}.drops_while_idle": "iterations dropped though the target was not busy",
        f"{where}.faults": "faults of the generator in it",
    }


_HEAD: Final = {
    "schema": "version of this format",
    "run_id": "made once, by the master",
    "scenario": "its name",
    "tags.<tag>": "what --tag said",
    "assumed[]": "what the scenario left to the service and was taken for its default",
    "http": "how the calls were sent: official (by the official clients) or lean; null where nobody wrote it down",
    "started_at": "RFC 3339, UTC",
    "duration_s": "from the first event to the last",
    "interrupted": "whether it was stopped by hand",
    "being_written": "whether it was still going on when this was worked out",
    "judged_by": "file of --slo whose objectives took the place of the run's own; else null",
    "verdict.outcome": "pass, fail or invalid",
    "verdict.exit_code": "of the command",
    "verdict.reasons[]": "sentences: what decided, then what a pass passed with, then what else to know",
    "verdict.failing": "how many of the reasons decided",
    "verdict.told": "how many say what a pass passed with",
    "probes": "sessions that were active checks; they count nowhere else but in rules",
    "probes_leaked": "of those, left behind",
}
_SESSIONS: Final = {
    "started": "completed, failed, cancelled, censored and unfinished together",
    "completed": "ended well",
    "failed": "failed, by whomever",
    "cancelled": "ended by us, before their time",
    "censored": "cut off by the end of the run",
    "unfinished": "without a last word in any journal",
    "dropped": "iterations that never became a session",
    "dropped_by.<reason>": "the same by reason",
    "leaked": "left behind for certain; a sweep can delete them",
    "doubtful": "creates that were never answered",
    "unknown": "of lost load processes, until their journals settle it",
    "left_behind.<why>": "those left behind, doubtful and unknown, by why",
    "swept": "settled by a sweep",
    "unconfirmed": "deleted, and nothing proves or disproves the end",
    "messages_cut": "whose app-messages were more than are written down",
    "peak_active": "most at once",
    "failed_rate": "share that failed by the target's fault",
    "setup.count": "that were set up",
    "setup.{q}": "from the mint's start to connected",
    "setup_from_due.count": "the same, counted from when they were due",
    "setup_from_due.censored": "cut off before they were set up: they have no number",
    "setup_from_due.{q}": "from due to connected",
    "first_step_from_due.count": "whose first step succeeded",
    "first_step_from_due.{q}": "from due to the end of the first step",
}
_STEPS: Final = {
    "count": "that succeeded or failed; of deletes the first attempts",
    "failed": "that failed",
    "cancelled": "cut short by us",
    "failed_rate": "share that failed by the target's fault",
    "failures.<kind>": "failed ones by kind",
    "{q}": "lengths of those that succeeded",
}
_TAKING: Final = {
    "response": ("turns that are to be answered", "answered"),
    "premature": ("turns that are to be answered", "before the user had finished"),
    "yield": ("barge-ins", "after which the avatar fell silent"),
    "false_stop": ("sounds that ask for nothing, made into an answer", "after which the avatar fell silent"),
    "self_interruption": ("answers that were listened to", "stopped by the service though nobody had spoken"),
    "unasked": ("turns", "in which, or before which, the avatar spoke and nobody had asked"),
    "cut": ("answers that were listened to", "that broke off in their middle"),
}
_TURNS: Final = {
    "count": "that succeeded or failed",
    "failed": "that failed",
    "cancelled": "cut short by us",
    "failed_rate": "share that failed by the target's fault",
    "failures.<kind>": "failed ones by kind",
    "answered_early": "answered before the user had finished",
    "answered_early_by_line": "answered early while the line had a hole: cancelled, in no rate",
    "undecided.<kind>": "the line, or an avatar that speaks by itself, may be why: cancelled, in no rate",
    "answered_early_rate": "share of those",
    "tainted": "with a stamp taken while our loop was late by more than 10 ms",
    "by_kind.<turn>.count": "by kind of turn, without cancelled ones",
    "by_kind.<turn>.failed": "by kind of turn, failed",
    "transcripts.user": "transcripts of the user's speech",
    "transcripts.turns_without_user": "answered turns without one",
    "transcripts.unassigned_user": "of one of two turns, and nobody knows of which",
    "transcripts.avatar": "transcripts of answers",
    "transcripts.turns_without_avatar": "answered turns without one",
    "transcripts.unassigned_avatar": "of one of two turns",
    "transcripts.failed": "transcriptions told as failed",
    "time_to_first_audio.count": "answers that were timed",
    "time_to_first_audio.{q}": "from the end of the user's speech to the first audible sound",
    "barge_in.count": "barge-ins that were timed",
    "barge_in.censored": "after which the avatar never fell silent: no number",
    "barge_in.{q}": "from the user's speech to the avatar's last audible frame",
    "dead_air.count": "answers that were heard out",
    "dead_air.{q}": "longest silence inside each, 0 where none was as long as 240 ms",
    **{
        f"taking.{what}.{key}": text
        for what, (of, so) in _TAKING.items()
        for key, text in (("of", of), ("count", so), ("rate", "share of those"))
    },
    "taking.self_interruption.per_minute": "by the minutes for which sessions listened",
    **{
        f"by_language.<language>.{what}.{key}": text
        for what, (of, so) in _TAKING.items()
        for key, text in (("of", of), ("count", so), ("rate", "share of those"))
    },
    "taking.talk_over.count": "turns that are to be answered",
    "taking.talk_over.{q}": "for how long both were heard at once",
}
_AGE: Final = {
    **{
        f"{rows}[].{key}": text
        for rows, what in (("by_turn", "turn, counted from 1"), ("by_minute", "minute since the session was connected"))
        for key, text in (
            ("from", f"first {what}"),
            ("until", "the row ends before it; null: open"),
            ("count", "answered turns"),
            ("{q}", "time to first audio"),
        )
    },
    "drift.sessions": "with at least three answers",
    "drift.median_s_per_minute": "how much slower answers get in a minute of a session's age: median of sessions",
    "drift.low_s_per_minute": "its 95 % interval; null: fewer than six sessions",
    "drift.high_s_per_minute": "its 95 % interval",
}
_MEDIA: Final = {
    "sessions": "that heard a frame",
    "frames": "stretches of audio that arrived, normally 20 ms each",
    "heard_s": "for how long they listened, all together",
    "underruns": "how often speech ran dry for a player with a buffer of 100 ms",
    "underruns_per_minute": "of listening",
    "stalled_s": "for how long it had run dry",
    "gap.count": "sessions that heard their avatar speak",
    "gap.{q}": "longest wait of each for a frame of speech",
    "jitter.count": "sessions whose jitter was measured",
    "jitter.{q}": "mean deviation of each one's waits for frames of speech from their length",
    "ahead": "speech that came faster than it plays, beyond the 0.3 s that a player keeps; null: not measured",
    "ahead.sessions": "that heard some",
    "ahead.sound_s": "how much, in all",
    "packets.expected": "by the rooms' numbers; packets is null where they number none",
    "packets.lost": "that never came, or over 100 ms late",
    "packet_loss": "share of those",
    "line": "what the callers' own lines did, which is in no other figure; null where no scenario has one",
    "line.sessions": "that had one",
    "line.added.count": "turns",
    "line.added.{q}": "what it added to each turn's question and answer",
    **{
        f"line.{way}.{key}": text
        for way, of in (("up", "from the callers"), ("down", "to the callers"))
        for key, text in (
            ("packets", f"of sound {of}"),
            ("lost", "that never arrived"),
            ("loss", "share of those"),
            ("held", "lost at first, and sent again by TCP"),
            ("delay_mean_s", "of what arrived"),
            ("delay_max_s", "the longest"),
            ("underruns", "how often speech ran dry at the end of the line; of the way down alone"),
            ("stalled_s", "for how long"),
        )
    },
}
_SECRETS: Final = {
    "minted": "client secrets",
    "reused": "that more than one session used",
    "age_at_create.p50_s": "age when the create was sent, median",
    "age_at_create.max_s": "the same, at most",
    "age_at_connect.p50_s": "age when connected, median",
    "age_at_connect.max_s": "the same, at most",
    "min_margin_s": "least life left when connected",
    "skew_s": "the provider's clock minus ours, median, from expires_at",
    "skew.count": "secrets by which the clocks were compared",
    "skew.median_s": "the same, the cut second made good",
    "skew.p5_s": "its 5th percentile",
    "skew.p95_s": "its 95th percentile",
    "skew.drift_s": "lowest to highest twelfth of the run",
    "skew.date_median_s": "the same from the provider's Date header",
    "skew.over_run[].from_s": "begin of a twelfth of the run",
    "skew.over_run[].median_s": "its median",
    **{
        f"histograms.{name}[].{bar}": text
        for name in ("age_at_create", "age_at_connect", "margin_at_create", "margin_at_connect")
        for bar, text in (("from_s", "lower edge of a bar"), ("to_s", "its upper edge"), ("count", "secrets in it"))
    },
    "at_share_of_ttl[].percent": "point of the secret's life",
    "at_share_of_ttl[].uses": "last uses nearest to it",
    "at_share_of_ttl[].connected": "of those, connected",
    "at_share_of_ttl[].failed": "of those, failed",
    "at_share_of_ttl[].cancelled": "of those, cut short by us",
    **{f"at_share_of_ttl[].probes[].{key}": text for key, text in _PROBE.items()},
    "at_share_of_ttl[].tested": "whether anything was seen there",
}
_TEARDOWN: Final = {
    "deleted": "sessions whose delete was answered: the next four together",
    "confirmed_gone": "whose token was refused afterwards",
    "unconfirmed": "without proof",
    "still_alive": "whose token still worked; counted even if swept later",
    "not_checked": "at which nobody looked",
    "time_to_gone.{q}": "from sending the confirmed delete to the look that proved the end",
    "time_to_gone_by.<cause>.count": "the same by what ended the session",
    "time_to_gone_by.<cause>.{q}": "the same by what ended the session",
    "ended_by.<cause>": "sessions by what ended them",
    "orphans.count": "sessions that lived on after their end",
    "orphans.seconds": "for how long, together",
    "orphans.until_absent_timeout": "that nothing removed: their time is an estimate",
    "orphans.absent_timeout_s": "what ends those at last, the longest",
    "orphans.absent_timeout": "the same in words",
    "orphans.causes.<why>.count": "by why",
    "orphans.causes.<why>.swept": "by why, removed by a sweep",
    "orphans.causes.<why>.seconds": "by why, together",
    "orphans.causes.<why>.longest_s": "by why, the longest",
    "orphans.price.usd": "what they cost, about; null: nobody gave a price",
    "orphans.price.as_of": "day of the price",
    "orphans.price.usd_per_session_minute": "price; null: not known",
    "orphans.price.source": "where it is from",
    "orphans.price.estimate": "that it is one",
    "caps[].cap": "absence, duration or concurrency",
    "caps[].unit": "of the next values",
    "caps[].declared": "what the scenario says; null: the service's default",
    "caps[].default": "of the service",
    "caps[].scenarios[]": "for which scenarios; null: all",
    "caps[].observed": "what was seen of it",
    "caps[].cases": "how often",
    "caps[].how": "how that was seen, a sentence",
    **{f"caps[].probes[].{key}": text for key, text in _PROBE.items()},
}
_USD: Final = {
    "usd": "the sum; null: something in it has no price",
    "low_usd": "if all that was read again was cached",
    "high_usd": "if none of it was",
    "known_usd": "the sum of what has a price",
    "unknown[]": "what has none",
}
_COST: Final = {
    "charged": "whether anybody asks money for it; what is on this machine is taken for a twin",
    "budget_usd": "what --budget said",
    "stopped": "whether the budget ended it",
    "reserved_beside": "sessions at once whose worst was reserved when it refused one; null: it refused none",
    "avatar_minutes": "of all sessions from the create's answer to the confirmed delete, active checks included",
    "without_end": "sessions whose end nobody saw, counted until their last word; the rest is in `teardown.orphans`",
    "answered_turns": "answers that were heard, whole or not",
    "user_speech_s": "of users in turns that ask for an answer, as it was sent",
    "avatar_speech_s": "of the answers, as far as they were heard",
    "prices[]": "days on which the prices were looked up",
    **{
        f"estimate.{of}.{key}": f"{text}, of {what}"
        for of, what in (
            ("model", "the model"),
            ("transcription", "the user's transcripts"),
            ("avatar", "the avatar's minutes"),
            ("total", "all"),
        )
        for key, text in _USD.items()
    },
}
_RULES: Final = {
    "id": "of the rule (docs/contract.md#rules)",
    "group": "its group",
    "statement": "what it says",
    "standing": "binding, assumed or open",
    "prod": "where it can be tried",
    "outcome": "pass, fail, not_tested, characterised or waived",
    "cases": "how often it was judged",
    "violations": "how often it was broken",
    "summary": "a sentence",
    "evidence[]": "ids of sessions to look at",
    "seen[]": "what probes saw",
    "took_s": "how long they tried",
    "waived.reason": "why it is accepted",
    "waived.scenarios[]": "by which scenarios",
    "waived.cases": "judged in these",
    "waived.violations": "broken in these",
}
_SLOS: Final = {
    "name": "of the objective",
    "indicator": "what it bounds",
    "scenario": "of a mix: whose sessions; null: all",
    "asked": "false: nobody asked for it, it is a default",
    "outcome": "pass, fail or not_enough_samples",
    "bound": "max or min",
    "objective": "the bound itself",
    "observed": "what was measured; of windows, in the worst",
    "unit": ", ".join(Unit),
    "judged_over": "steady, run, window, or stage of a search",
    "count": "samples",
    "beyond": "of them on the wrong side, or bad",
    "needed": "samples that it takes",
    "upper_bound": "share that can't be excluded with 95 % confidence",
    "lower_bound": "the same, of an objective with min",
    "window_s": "length of its windows",
    "abort": "whether it stops a run",
    "aborted": "whether it did",
    "worst.from_s": "begin of the worst window",
    "worst.to_s": "its end",
    "worst.count": "its samples",
    "windows.judged": "windows with enough samples",
    "windows.broken": "of those, broken",
    "windows.too_few": "windows with too few samples",
    "note": "what to know of how it was judged",
}
_ABORTED: Final = {
    "slo": "the objective that ended the run early",
    "indicator": "what it bounds",
    "at_s": "when",
    "count": "samples until then",
    "beyond": "of them on the wrong side",
    "window_s": "in the last so many seconds",
}
_GENERATOR: Final = {
    "outcome": "valid, suspect or invalid",
    "hub_lag_p99_s": "lag of Locust's loop: p99 of a second, in 95 % of the seconds",
    "engine_lag_p99_s": "the same of the engine's loop",
    "hub_lag_max_s": "the worst of Locust's loop",
    "engine_lag_max_s": "the worst",
    "stamp_lag_p99_s": "how late ends of steps were stamped",
    "pacing_error_p99_s": "how late sound was sent",
    "pool_wait_p99_s": "wait for a connection of our own",
    "gc_pause_max_s": "longest pause of the garbage collector",
    "start_lateness_p99_s": "how late sessions started",
    "cpu_percent_max": "of one core, by one process",
    "cpu_percent_p95": "in 95 % of the seconds",
    "rss_bytes_max": "most memory of one process",
    "steal_percent_p95": "CPU time that went to other guests of the machine",
    "open_files_max": "most open files of one process",
    "open_files_limit": "how many it may have",
    "sink_errors": "events or batches that did not reach a live view",
    "events_lost": "events among them",
    "faults.<fault>": "what broke in avaload, and how often",
    "truncated[]": "journals without a last word",
    "invalid_because[]": "sentences",
    "suspect_because[]": "sentences",
}
_FILES: Final = {
    "files.whole": "journals with a last word",
    "files.truncated[]": "journals without one",
    "files.missing[]": "journals that should be there, and those of another run, in words",
    "passed_over.count": "lines and files that can't be read",
    "passed_over.first[]": "the first of them, and why",
    "hosts.workers[].host": "of a worker's command",
    "hosts.workers[].numbers[]": "its load processes",
    "hosts.workers[].state": "joined, withdrawn, refused, home or lost",
    "hosts.workers[].directory": "its run directory over there",
    "hosts.workers[].detail": "why",
    "hosts.clocks[].host": "a host",
    "hosts.clocks[].offset_s": "added to its stamps: the master's",
    "hosts.clocks[].error_s": "at most",
    "hosts.clocks[].wall_skew_s": "its wall clock minus the master's",
    "hosts.start_spread_s": "how far apart load processes began",
}
_ARRIVALS: Final = {
    "scheduled": "due over the whole run",
    "started": "that became sessions",
    "dropped": "that did not",
    "dropped_by.<reason>": "by reason",
    "planned_per_s": "in the steady stages",
    "achieved_per_s": "in the steady stages",
    "due_error.p50_s": "how much later than due they started",
    "due_error.p99_s": "the same",
    "due_error.max_s": "the same",
}
_RECOVERY: Final = {
    "stage": "the peak: more load than before and after it",
    "ended_at_s": "its end",
    "name": "of the objective",
    "indicator": "what it bounds",
    "scenario": "of a mix: whose sessions",
    "window_s": "how long each window is",
    "during.windows": "windows of the peak that say something",
    "during.broken": "of them, those that missed the bound",
    "after.windows": "the same of the stage after it",
    "after.broken": "the same of the stage after it",
    "recovered_s": "from the peak's end to when all windows hold; null: they never did, or none says anything",
}
_STAGES: Final = {
    "name": "of the stage",
    "at_s": "its begin",
    "duration_s": "its length",
    "users": "virtual users, or sessions that may go on at once",
    "rate": "open arrivals per second at its begin",
    "steady": "whether the level is held",
}
_TAIL: Final = {
    "failures[].step": "which step",
    "failures[].kind": "what sort of failure",
    "failures[].code": "which exactly",
    "failures[].sessions": "how often it was a session's first failure",
    "failures[].steps": "how often it ended a step, a turn or an attempt",
    "failures[].example": "id of a session",
    "failures[].detail": "its text",
    **{
        f"evidence.{why}[]": f"ids of sessions that are {why}, at most 20"
        for why in ("leaked", "doubtful", "unknown", "failed", "unconfirmed", "unfinished")
    },
    "traces.sessions": "traces that were handed to the sender",
    "traces.spans": "spans that the collector took",
    "traces.dropped": "spans that did not get out",
    "traces.dropped_by.<why>": "the same by why",
    "traces.not_sampled": "sessions left out by --trace-share",
    "traces.incomplete": "sessions without begin or end",
    "traces.unread": "bytes of journals that there was no time for",
    "traces.bad_lines": "lines that can't be read",
    "audio[]": "WAV files that were kept",
}
_SLO_OF_STAGE: Final = {
    **{
        key: _SLOS[key]
        for key in (
            "name",
            "indicator",
            "bound",
            "objective",
            "observed",
            "unit",
            "count",
            "beyond",
            "needed",
            "outcome",
            "scenario",
        )
    },
    "met": "whether it held",
}
_SHORT: Final = {
    "number": "of the stage",
    "level": "users, or arrivals per second",
    "goodput_per_min": "good sessions",
    "in_progress_mean": "sessions in progress",
    "setup_p95_s": "p95 of the set-up",
    "duration_s": "how long it was judged",
    "generator": "its outcome there",
}
_CAPACITY: Final = {
    "by": "users or arrivals",
    "unit": "of levels",
    "sentence": "the answer for people",
    "kind": f"{', '.join(list(LimitKind)[:-1])} or {list(LimitKind)[-1]}",
    **{f"max_passing.{key}": text for key, text in _SHORT.items()},
    **{f"first_failing.{key}": text for key, text in _SHORT.items()},
    "sustained": "whether max_passing was held in the end",
    "broke_first": "the objective that was furthest beyond its bound",
    "monotonic": "false: a level above one that failed passed",
    "quota.what": "what is bounded",
    "quota.number": "the bound, or the least that it can be",
    "quota.exact": "whether it is exact",
    "quota.at_most": "the most that it can be",
    "quota.freed_after_s": "how long a place stays taken after its delete",
    "quota.refusals.<why>": "refused sessions, by step and code",
    "confidence.low": "the limit is no lower",
    "confidence.high": "nor higher",
    "confidence.level": "with this confidence",
    "confidence.method": "in words",
    "generator.level": "at which avaload was at its end",
    "generator.because[]": "why",
    "generator.valid_up_to": "highest level with a fit generator",
    "generator.level_per_process": "what one load process carries",
    "generator.processes_needed": "for the level that was tried",
    "generator.hosts_needed": "of this machine's size",
    "usl.trusted": "whether the law may be used",
    "usl.because[]": "why not",
    "usl.points": "levels that it was fitted to",
    **{
        f"usl.{name}.{side}": text
        for name, text in (("gamma", "throughput of one"), ("sigma", "contention"), ("kappa", "crosstalk"))
        for side in ("value", "low", "high")
    },
    "usl.r2": "share of the spread that it explains",
    "usl.peak_n": "sessions at its peak",
    "usl.peak_per_s": "throughput at its peak",
    "stages[].number": "in order of time",
    "stages[].name": "of the stage",
    "stages[].purpose": "why this level was tried",
    "stages[].level": "users, or arrivals per second",
    "stages[].at_s": "its begin",
    "stages[].duration_s": "how long it was judged",
    "stages[].offered": "sessions that were due",
    "stages[].started": "that began",
    "stages[].dropped": "that did not",
    "stages[].completed": "ended well",
    "stages[].failed": "failed",
    "stages[].good": "ended well, were deleted cleanly and kept every bound on a latency",
    "stages[].unfinished": "without an end",
    "stages[].goodput_per_s": "good ones per second",
    "stages[].completed_per_s": "per second",
    "stages[].in_progress_start": "sessions at its begin",
    "stages[].in_progress_mean": "sessions on the average",
    "stages[].growth": "sessions at its end less those at its begin",
    "stages[].allowed_growth": "what is put down to chance",
    "stages[].setup_p50_s": "of the set-up",
    "stages[].setup_p95_s": "of the set-up",
    "stages[].setup_from_due_p95_s": "counted from due",
    "stages[].refused": "sessions that the target refused",
    "stages[].refusals.<why>": "by step and code",
    "stages[].failures.<why>": "by step, kind and code",
    "stages[].keeps_up": "whether sessions in progress grew no more than allowed",
    "stages[].alive_peak": "most sessions that were certainly alive at once",
    "stages[].broken[]": "indicators beyond their bound",
    **{f"stages[].slos[].{key}": text for key, text in _SLO_OF_STAGE.items()},
    **_health("stages[].generator"),
    "stages[].found": "passed, failed, narrowly, slow, refused or invalid",
}
_SIDE: Final = {
    "count": "sessions",
    "mean_s": "geometric mean; of several runs that of theirs, each weighing the same",
    **{f"{name}_s": f"its {name}, likewise" for name in ("p50", "p95", "p99")},
}
_FAILURES: Final = {key: text for key, text in _TAIL.items() if key.startswith("failures[].")}
_BY_SCENARIO: Final = {
    **{f"sessions.{key}": text for key, text in _SESSIONS.items() if "_from_due" not in key},
    **{f"steps.<step>.{key}": text for key, text in _STEPS.items()},
    "steps.<step>.retries": "of deletes: further attempts",
    **{f"turns.{key}": text for key, text in _TURNS.items()},
    **{f"age.{key}": text for key, text in _AGE.items()},
    **{f"media.{key}": text for key, text in _MEDIA.items()},
    **_FAILURES,
}
_BASELINE: Final = {
    "schema": "version of this format",
    "outcome": "what the comparison says",
    "exit_code": "of compare",
    "not_comparable_because[]": "sentences",
    "regressions[]": "sentences",
    "improvements[]": "sentences",
    "notes[]": "sentences",
    "margin": "smallest change that matters",
    **{
        f"{side}[].{key}": text
        for side in ("base", "new")
        for key, text in (
            ("name", "of a run"),
            ("run_id", "its id"),
            ("scenario", "its scenario"),
            ("started_at", "when"),
            ("git_revision", "of avaload"),
            ("tags.<tag>", "what --tag said"),
            ("sessions", "how many"),
            ("generator", "its outcome"),
        )
    },
    "measures[].measure": "what is compared",
    "measures[].verdict": "worse, better, no_change or too_few",
    **{f"measures[].{side}.{key}": text for side in ("base", "new") for key, text in _SIDE.items()},
    "measures[].change": "of the mean, as a share",
    "measures[].low": "its interval",
    "measures[].high": "its interval",
    "measures[].margin": "beyond which it matters",
    "measures[].p_worse": "probability by chance",
    "measures[].p_better": "probability by chance",
    "measures[].error": "standard error of the logarithm",
    "measures[].df": "degrees of freedom",
    "measures[].smallest_seen": "change that would be seen",
    "measures[].error_from": "sessions, time or runs",
    "measures[].quantiles.<name>.change": "of a quantile",
    "measures[].quantiles.<name>.low": "its interval",
    "measures[].quantiles.<name>.high": "its interval",
    "measures[].quantiles.<name>.p_worse": "probability by chance",
    "measures[].quantiles.<name>.verdict": "shown, worse or not_worse",
    "failing[].what": "sessions, turns or a step",
    "failing[].verdict": "worse or no_change",
    "failing[].p": "probability by chance",
    **{
        f"failing[].{side}.{key}": text
        for side in ("base", "new")
        for key, text in (("failed", "how many"), ("judged", "of how many"), ("rate", "share"))
    },
    **{
        f"failures.{side}[].{key}": text
        for side in ("new", "gone")
        for key, text in (("failure", "one that the other side has not"), ("count", "how often"))
    },
    "rules[].id": "whose outcome changed",
    "rules[].base": "before",
    "rules[].new": "after",
    "settings[].key": "that differs",
    "settings[].base": "before",
    "settings[].new": "after",
    "settings[].default_changed": "whether neither side asked for it: each has the default of its own version",
}

SECTIONS: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "": ("The run and its verdict", _HEAD),
    "sessions.": ("How many sessions there were, and how they ended", _SESSIONS),
    "steps.<step>.": (", ".join(STEPS), _STEPS | {"retries": "of deletes: further attempts"}),
    "turns.": ("The turns of the conversations", _TURNS),
    "age.": ("Do answers get slower as a session grows older?", _AGE),
    "media.": ("What was heard of the avatars", _MEDIA),
    "by_scenario.<scenario>.": ("The same of each scenario of a mix; empty where there is one", _BY_SCENARIO),
    "secrets.": ("The client secrets", _SECRETS),
    "teardown.": ("Do sessions end when they should?", _TEARDOWN),
    "cost.": ("What it cost, by estimate", _COST),
    "rules[].": ("The rules of the contract", _RULES),
    "slos[].": ("The objectives", _SLOS),
    "aborted.": ("What ended the run early; else null", _ABORTED),
    "generator.": ("Was avaload fit to measure?", _GENERATOR),
    "files.": ("Journals and hosts", _FILES),
    "recovery[].": ("After a peak of the load; empty without one", _RECOVERY),
    "arrivals.": ("Open arrivals; null for a closed population", _ARRIVALS),
    "stages[].": ("The stages of the plan", _STAGES | _health("generator")),
    "capacity.": ("The search for the limit; else null", _CAPACITY),
    "baseline.": ("The comparison, as in compare.json; else null", _BASELINE),
    "failures[].": ("Failures, evidence, traces and sound", _TAIL),
}
"""Beginning of its keys → title of a section, and its keys."""

_WHOLE: Final = ("", "files.", "failures[].")
"""Sections whose keys are written out from the root."""


def keys() -> dict[str, str]:
    """Every key from the root, and what it means."""
    found: dict[str, str] = {}
    for prefix, (_, inner) in SECTIONS.items():
        for key, text in inner.items():
            whole = key if prefix in _WHOLE else prefix + key
            found |= {whole.replace("{q}", each): text for each in (QUANTILES if "{q}" in key else ("",))}
    return found
