"""Every metric of avaload, once. METRICS.md is generated from here (`make generated`).

Base units (seconds, bytes, ratios). Never a label: session and trace ids, URLs, text. The run's id is on
`avaload_run_info` alone.
"""

from typing import Final

from exporters.metrics import labels as v
from exporters.metrics.metric import Label, Type
from exporters.metrics.metric import Metric as Metric  # who reads the catalogue needs no other module
from loadtest.criteria.slo import TAKING
from loadtest.criteria.stage_health import FITNESSES
from loadtest.criteria.statements import RULES
from loadtest.events.kinds import ON_A_SECRET, DropReason, Fault, Gone
from loadtest.events.vocabulary import Refused

_OBJECTIVE: Final = (Label(name="objective"), Label(name="indicator"))

_GOOD: Final = " and ".join(what for what, is_good in TAKING.items() if is_good)

SESSIONS_ACTIVE: Final = Metric(
    name="avaload_sessions_active",
    type=Type.GAUGE,
    labels=(v.STATE,),
    help="Sessions that run, by the step that they are in: the one after the last that they finished",
)
SESSIONS_OPEN: Final = Metric(
    name="avaload_sessions_open",
    type=Type.GAUGE,
    help="Sessions that were created at the target and not confirmed deleted, those of probes included",
)
SESSIONS_UNKNOWN: Final = Metric(
    name="avaload_sessions_unknown",
    type=Type.GAUGE,
    of_run=True,
    help="Sessions of silent or dead load processes that may be open: their journals or their return will tell",
)
SESSIONS_TARGET: Final = Metric(
    name="avaload_sessions_target",
    type=Type.GAUGE,
    of_run=True,
    help="Concurrent sessions that the plan asks for now; 0 where it asks for a rate, and once it is over",
)
USERS: Final = Metric(
    name="avaload_users", type=Type.GAUGE, help="Virtual users that exist, in a session or waiting for their next"
)
SESSIONS_STARTED: Final = Metric(
    name="avaload_sessions_started_total", type=Type.COUNTER, labels=(v.SCENARIO,), help="Sessions that were started"
)
SESSIONS: Final = Metric(
    name="avaload_sessions_total",
    type=Type.COUNTER,
    labels=(v.SCENARIO, v.OUTCOME),
    help="Sessions that ended, by outcome; what failed on the generator's own side is apart",
)
SESSIONS_LEFT: Final = Metric(
    name="avaload_sessions_left_total",
    type=Type.COUNTER,
    labels=(v.LEFT_REASON,),
    help="Sessions that we are done with and that are left behind, or doubtful (create_unanswered: may not exist)",
)
ITERATIONS_DROPPED: Final = Metric(
    name="avaload_iterations_dropped_total",
    type=Type.COUNTER,
    labels=(v.SCENARIO, Label(name="reason", values=v.values(DropReason))),
    help="Sessions that were due and never started",
)
SESSION_DURATION: Final = Metric(
    name="avaload_session_duration_seconds",
    type=Type.HISTOGRAM,
    labels=(v.SCENARIO, v.OUTCOME),
    buckets=v.LENGTH_S,
    help="Length of a whole session, from its start to its last look after the delete",
)
SESSION_SETUP: Final = Metric(
    name="avaload_session_setup_duration_seconds",
    type=Type.HISTOGRAM,
    labels=(v.SCENARIO,),
    buckets=v.LATENCY_S,
    help="From the start of the mint (the create, where a backend mints) until the session is connected",
)
FIRST_FRAME: Final = Metric(
    name="avaload_time_to_first_frame_seconds",
    type=Type.HISTOGRAM,
    labels=(v.SCENARIO,),
    buckets=v.LATENCY_S,
    help="From the start of a session to the avatar's first media frame; sessions that got one",
)
STEP_DURATION: Final = Metric(
    name="avaload_step_duration_seconds",
    type=Type.HISTOGRAM,
    labels=(v.SCENARIO, v.STEP, v.OUTCOME),
    buckets=v.LATENCY_S,
    help="Time that a step took; of deletes the first attempts, a turn is a part of converse",
)
CONNECT_PHASE: Final = Metric(
    name="avaload_connect_phase_duration_seconds",
    type=Type.HISTOGRAM,
    labels=(v.PHASE,),
    buckets=v.PHASE_S,
    help="From the start of connect until that phase was reached; which phases there are depends on the room",
)
LIFECYCLE_ERRORS: Final = Metric(
    name="avaload_lifecycle_errors_total",
    type=Type.COUNTER,
    labels=(v.SCENARIO, v.STEP, v.ERROR_TYPE),
    help="Steps that failed, by what failed them; a failed turn fails its converse step too and counts in both",
)
FIRST_AUDIO: Final = Metric(
    name="avaload_time_to_first_audio_seconds",
    type=Type.HISTOGRAM,
    labels=(v.SCENARIO,),
    buckets=v.LATENCY_S,
    help="From the end of the user's speech to the first audible sample of the answer, in turns that went well",
)
ANSWERS_BY_AGE: Final = Metric(
    name="avaload_answers_by_age_total",
    type=Type.COUNTER,
    labels=(v.AGE,),
    help="Turns that went well whose time to first audio was heard, by the age of their session when they began",
)
WAITED_BY_AGE: Final = Metric(
    name="avaload_answers_waited_by_age_seconds_total",
    type=Type.COUNTER,
    labels=(v.AGE,),
    help="Their times to first audio, added up: divided by their number, the mean",
)
BARGE_IN: Final = Metric(
    name="avaload_barge_in_seconds",
    type=Type.HISTOGRAM,
    labels=(v.SCENARIO,),
    buckets=v.LATENCY_S,
    help="From the user's speech over the avatar to the avatar's last audible frame",
)
DEAD_AIR: Final = Metric(
    name="avaload_dead_air_seconds",
    type=Type.HISTOGRAM,
    labels=(v.SCENARIO,),
    buckets=v.DEAD_AIR_S,
    help="Longest silence inside an answer that was heard out; 0 where none was as long as 240 ms",
)
TALK_OVER: Final = Metric(
    name="avaload_talk_over_seconds",
    type=Type.HISTOGRAM,
    labels=(v.SCENARIO,),
    buckets=v.TALK_OVER_S,
    help="For how long user and avatar were heard at once, in turns that are to be answered; no failures of our own",
)
TAKING_OF: Final = Metric(
    name="avaload_turn_taking_judged_total",
    type=Type.COUNTER,
    labels=(v.SCENARIO, v.TURN_TAKING),
    help="Turns that say something of how turns are taken: whether they were answered, an answer was whole …",
)
TAKING_SO: Final = Metric(
    name="avaload_turn_taking_total",
    type=Type.COUNTER,
    labels=(v.SCENARIO, v.TURN_TAKING),
    help=f"Of those, turns of which it is true; of {_GOOD} the good ones, of all others the bad ones",
)
TURNS: Final = Metric(
    name="avaload_turns_total",
    type=Type.COUNTER,
    labels=(v.SCENARIO, v.OUTCOME),
    help="Turns of conversations that ended, by outcome; those that the generator failed are apart",
)
MEDIA_FRAMES: Final = Metric(
    name="avaload_media_frames_received_total",
    type=Type.COUNTER,
    help="Stretches of the avatar's audio that arrived, normally 20 ms each; told when a session has left its room",
)
MEDIA_UNDERRUNS: Final = Metric(
    name="avaload_media_underruns_total",
    type=Type.COUNTER,
    help="How often the avatar's speech ran dry for a player with a buffer of 100 ms; as heard by the session engine",
)
MEDIA_STALLED: Final = Metric(
    name="avaload_media_stalled_seconds_total",
    type=Type.COUNTER,
    help="For how long the avatar's speech had run dry, all sessions together",
)
MEDIA_GAP: Final = Metric(
    name="avaload_media_gap_seconds",
    type=Type.HISTOGRAM,
    buckets=v.GAP_S,
    help="Longest wait for the next frame of the avatar's speech in a session; sessions that heard it speak",
)
MEDIA_JITTER: Final = Metric(
    name="avaload_media_jitter_seconds",
    type=Type.HISTOGRAM,
    buckets=v.JITTER_S,
    help="Mean deviation of a session's waits for frames of the avatar's speech from their length (RFC 3550)",
)
MEDIA_HEARD: Final = Metric(
    name="avaload_media_heard_seconds_total",
    type=Type.COUNTER,
    help="For how long sessions listened, from the first frame to the last; underruns are told per minute of it",
)
MEDIA_PACKETS: Final = Metric(
    name="avaload_media_packets_expected_total",
    type=Type.COUNTER,
    help="Packets of the avatar's audio by their numbers; 0 where the room numbers none (WebSocket, Daily)",
)
MEDIA_LOST: Final = Metric(
    name="avaload_media_packets_lost_total",
    type=Type.COUNTER,
    help="Of the expected packets, those that never came or over 100 ms late; says nothing while none are expected",
)
SECRET_AGE: Final = Metric(
    name="avaload_secret_age_seconds",
    type=Type.HISTOGRAM,
    labels=(Label(name="at", values=tuple(ON_A_SECRET)),),
    buckets=v.SECRET_AGE_S,
    help="Age of the client secret when that step began",
)
SECRET_MARGIN: Final = Metric(
    name="avaload_secret_margin_seconds",
    type=Type.HISTOGRAM,
    buckets=v.SECRET_MARGIN_S,
    help="Life left in the client secret when the session was connected, if known; le=0: it had expired (0 in the sum)",
)
TIME_TO_GONE: Final = Metric(
    name="avaload_time_to_gone_seconds",
    type=Type.HISTOGRAM,
    buckets=v.LATENCY_S,
    help="From sending the delete to the proof that the session was gone",
)
GONE_CHECKS: Final = Metric(
    name="avaload_gone_checks_total",
    type=Type.COUNTER,
    labels=(Label(name="outcome", values=v.values(Gone)),),
    help="Looks after a delete, by what they showed",
)
SCHEDULE_LAG: Final = Metric(
    name="avaload_schedule_lag_seconds",
    type=Type.HISTOGRAM,
    buckets=v.LAG_S,
    help="How late sessions started after they were due: the generator's fault",
)
LOOP_LAG: Final = Metric(
    name="avaload_loop_lag_seconds",
    type=Type.HISTOGRAM,
    labels=(v.SOURCE,),
    buckets=v.LAG_S,
    help="Worst lag of an event loop within each second; source: the session engine or Locust's hub",
)
GC_PAUSE: Final = Metric(
    name="avaload_gc_pause_seconds",
    type=Type.HISTOGRAM,
    labels=(v.SOURCE,),
    buckets=v.LAG_S,
    help="Longest pause of the garbage collector within each second",
)
PACING_ERROR: Final = Metric(
    name="avaload_pacing_error_seconds",
    type=Type.HISTOGRAM,
    buckets=v.LAG_S,
    help="How late audio frames left: the 99th percentile of each second",
)
POOL_WAIT: Final = Metric(
    name="avaload_pool_wait_seconds",
    type=Type.HISTOGRAM,
    buckets=v.LAG_S,
    help="Wait for a connection of our own pools: the 99th percentile of each second",
)
WORKER_LAG: Final = Metric(
    name="avaload_worker_loop_lag_seconds",
    type=Type.GAUGE,
    labels=(v.WORKER, v.SOURCE),
    help="99th percentile of the event loop's lag over the last second",
)
WORKER_CPU: Final = Metric(
    name="avaload_worker_cpu_ratio",
    type=Type.GAUGE,
    labels=(v.WORKER, v.SOURCE),
    help="CPU that the process used over the last second; 1 is one core",
)
WORKER_RSS: Final = Metric(
    name="avaload_worker_resident_memory_bytes",
    type=Type.GAUGE,
    labels=(v.WORKER, v.SOURCE),
    help="Resident memory of the process",
)
WORKER_UP: Final = Metric(
    name="avaload_worker_up",
    type=Type.GAUGE,
    labels=(v.WORKER,),
    of_run=True,
    help="1: the load process reports; 0: it is silent or dead",
)
WORKER_REPORT_AGE: Final = Metric(
    name="avaload_worker_report_age_seconds",
    type=Type.GAUGE,
    labels=(v.WORKER,),
    of_run=True,
    help="Age of the load process's last report, while the run goes on",
)
WORKER_REPORT_GAPS: Final = Metric(
    name="avaload_worker_report_gaps_total",
    type=Type.COUNTER,
    labels=(v.WORKER,),
    help="How often a load process fell silent; nothing is lost by it: reports are cumulative",
)
MASTER_REFUSED: Final = Metric(
    name="avaload_master_refused_total",
    type=Type.COUNTER,
    labels=(Label(name="reason", values=v.values(Refused)),),
    help="Connections and messages that the master's port did not take: locust.log says whose",
)
SPANS_EXPORTED: Final = Metric(
    name="avaload_spans_exported_total", type=Type.COUNTER, help="Spans that the OTLP endpoint took"
)
SPANS_DROPPED: Final = Metric(
    name="avaload_spans_dropped_total",
    type=Type.COUNTER,
    labels=(Label(name="reason", values=("queue_full", "refused", "unsent")),),
    help="Spans that did not get out: no room while the endpoint was slow, refused by it, or unsent at the end",
)
RULE_VIOLATIONS: Final = Metric(
    name="avaload_rule_violations_total",
    type=Type.COUNTER,
    labels=(Label(name="rule", values=tuple(RULES)),),
    help="Cases in which a rule of the contract was not kept, those of assumed rules included",
)
RULE_VIOLATIONS_WAIVED: Final = Metric(
    name="avaload_rule_violations_waived_total",
    type=Type.COUNTER,
    labels=(Label(name="rule", values=tuple(RULES)),),
    help="The same of rules that a scenario waives, in its sessions: counted here alone",
    unborn=True,
)
EVENTS_LOST: Final = Metric(
    name="avaload_events_lost_total",
    type=Type.COUNTER,
    help="Events that the engine could not pass on; they are in its journal, these metrics miss them",
)
SINK_ERRORS: Final = Metric(
    name="avaload_sink_errors_total",
    type=Type.COUNTER,
    labels=(v.SINK,),
    help="Events that a sink failed to take",
)
GENERATOR_FAULTS: Final = Metric(
    name="avaload_generator_faults_total",
    type=Type.COUNTER,
    labels=(Label(name="fault", values=v.values(Fault)),),
    help="Faults of the generator itself",
)
GENERATOR_STATE: Final = Metric(
    name="avaload_generator_state",
    type=Type.GAUGE,
    labels=(Label(name="state", values=FITNESSES),),
    of_run=True,
    help="1 at how fit the generator was to judge in the last seconds: what is measured while it is invalid is its own",
)
OBJECTIVE_BOUND: Final = Metric(
    name="avaload_objective_bound",
    type=Type.GAUGE,
    labels=_OBJECTIVE,
    of_run=True,
    help="Bound of an objective, in its indicator's unit: seconds, a share of 1, a count, or either a minute",
)
OBJECTIVE_OBSERVED: Final = Metric(
    name="avaload_objective_observed",
    type=Type.GAUGE,
    labels=_OBJECTIVE,
    of_run=True,
    help="What it comes to so far; quantiles of the whole run as well as its buckets tell. Not there: not known",
)
OBJECTIVE_MET: Final = Metric(
    name="avaload_objective_met",
    type=Type.GAUGE,
    labels=_OBJECTIVE,
    of_run=True,
    help="1: met so far, 0: missed so far, in the steady part; not there: too few samples yet",
)
RUN_INFO: Final = Metric(
    name="avaload_run_info",
    type=Type.GAUGE,
    labels=(Label(name="run_id"), v.SCENARIO, Label(name="version"), Label(name="tags")),
    of_run=True,
    help="1, with the facts of the run as labels; tags: key=value, with commas between",
)
RUN_ACTIVE: Final = Metric(
    name="avaload_run_active",
    type=Type.GAUGE,
    of_run=True,
    help="1 from the start of the run until its last session ended, then 0",
)
RUN_START: Final = Metric(
    name="avaload_run_start_time_seconds",
    type=Type.GAUGE,
    by_first=True,
    help="Unix time of the run's start",
)
STAGE_START: Final = Metric(
    name="avaload_stage_start_time_seconds",
    type=Type.GAUGE,
    labels=(Label(name="stage"),),
    by_first=True,
    help="Unix time at which a stage of the plan began, by its name; of a plan of more than 100 names: the first ones",
)

METRICS: Final = tuple(value for value in list(vars().values()) if isinstance(value, Metric))
"""In the order of this file, which is the order of METRICS.md and of the exposition."""

BY_NAME: Final = {metric.name: metric for metric in METRICS}
