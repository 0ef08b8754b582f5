from pathlib import Path
from typing import Any

import pytest

from loadtest.config.access.guard import LIVE_AVATURN, is_loopback
from loadtest.config.keys.scenario import Say
from loadtest.config.keys.session_object import assumed, vad_silence_s
from loadtest.config.keys.workload import Load
from loadtest.config.resolve import resolve
from loadtest.config.settings import Settings
from loadtest.errors.exceptions import ConfigError
from loadtest.text.durations import parse_s

KEYS = {"OPENAI_API_KEY": "sk-x", "AVATURN_API_KEY": "x"}
LOOPBACK = {"target.openai_base_url": "http://127.0.0.1:1/v1", "target.avaturn_base_url": "http://[::1]:2"}


def resolved(options: dict[str, Any] | None = None, *, toml: Path | None = None, **environ: str) -> Settings:
    return resolve(toml, options or {}, environ)


def problems(options: dict[str, Any] | None = None, *, toml: Path | None = None, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolved(options, toml=toml, **environ)
    return caught.value.problems


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    return path


def test_an_option_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    toml = file(tmp_path, "[load]\nusers = 7\nduration = '2m'\nseed = 5")
    settings = resolved({"load.users": "9"}, toml=toml, AVALOAD_LOAD__USERS="8", AVALOAD_LOAD__SEED="6")
    load = settings.load
    assert (load.users, load.seed, load.duration, load.ramp) == (9, 6, 120.0, 5.0)


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    toml = file(
        tmp_path, "colour = 1\n[load]\nusers = 0\nduration = 'soon'\n[secret]\nttl_s = 9\n[session]\nmodle = 'x'"
    )
    told = problems(toml=toml)
    assert told == [
        f"{toml}:3: load.users: must be at least 1; got 0",
        f"{toml}:4: load.duration: 'soon' is not a length of time such as 60s, 10m or 1h30m",
        f"{toml}:6: secret.ttl_s: must be at least 10; got 9",
        f"{toml}:8: session.modle: unknown key (did you mean model?)",
        f"{toml}:1: colour: unknown key",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[load]\nwarmup = 3", ":2: load.warmup: unknown key (did you mean warm_up?)"),
        ("\n[laod]\nusers = 3", ":2: laod: unknown key (did you mean load?)"),
        ("[[load.stages]]\nduration = 5\nuser = 3", ":3: load.stages[1].user: unknown key (did you mean users?)"),
        (
            '[[conversation.turns]]\nkind = "say"\n[[conversation.turns]]\nkind = "silence"\nfor = 3',
            ":5: conversation.turns[2].for: unknown key (did you mean for_s?)",
        ),
        (
            '[conversation]\nturns = [\n  {kind = "say"},\n  {kind = "bargein"},\n]',
            ":4: conversation.turns[2]: kind must be one of say, barge_in, ignore, backchannel, hesitate, silence,"
            " pause; got 'bargein' (did you mean barge_in?)",
        ),
        ('[target.backend]\nurl = "http://127.0.0.1:1"\nheader = {}', ":3: target.backend.header: unknown key (did"),
        ('[[slo]]\nindicator = "mint.p95"\nmax = 1\n[[slo]]\nindicator = "mint.p59"\nmax = 1', ":5: slo[2]: unknown"),
        ('[[waive]]\nrule = "TD-99"\nreason = "x"', ":2: waive: unknown rule 'TD-99' (did you mean TD-9?)"),
    ],
)
def test_a_mistyped_word_has_its_file_and_line_and_the_nearest_right_one(tmp_path: Path, text: str, says: str) -> None:
    toml = file(tmp_path, text)
    assert problems(toml=toml)[0].startswith(f"{toml}{says}")


@pytest.mark.parametrize(
    ("part", "options"),
    [
        ("[secret]\nttl_s = 60\n", {}),
        ("[session]\nmax_duration = 60\n", {}),
        ("[realtime]\nmodel = 'x'\n", {}),
        ("[conversation]\nthink_min_s = 0\n", {}),
        ("", {"secret.ttl_s": "60"}),
    ],
)
def test_what_would_be_used_by_no_session_of_a_mix_is_refused(
    tmp_path: Path, part: str, options: dict[str, str]
) -> None:
    (tmp_path / "other.toml").write_text("")
    toml = file(tmp_path, f"{part}[[mix]]\nscenario = 'other.toml'")
    (problem,) = problems(toml=toml, **({"options": options} if options else {}))
    assert "belongs into the scenarios of the mix; here it is used by no session" in problem


def test_a_mistake_in_a_file_of_the_mix_names_that_file(tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[load]\nusers = 3\n[session]\nmodle = 'x'")
    toml = file(tmp_path, "[[mix]]\nscenario = 'other.toml'")
    assert problems(toml=toml) == [f"{other}:4: session.modle: unknown key (did you mean model?)"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[converstion]\nthink_max_s = 1", ":1: converstion: unknown key (did you mean conversation?)"),
        ("weight = 2", ":1: weight: unknown key"),
        ("ttl_s = 60", ":1: ttl_s: unknown key (it belongs into [secret])"),
        ("[[mix]]\nscenario = 'x.toml'", ":1: mix: a scenario of a mix is one sort of session; name those of this one"),
        ("", ": is empty; `avaload init NAME` writes a scenario"),
        ("# nothing yet", ": is empty; `avaload init NAME` writes a scenario"),
        ("name = ['x']", ":1: name: must be text, in quotes; got a list"),
        ("name = {a = 1}", ":1: name: must be text, in quotes; got a table"),
    ],
)
def test_a_file_of_the_mix_is_a_scenario_of_known_keys(tmp_path: Path, text: str, says: str) -> None:
    other = tmp_path / "other.toml"
    other.write_text(text)
    toml = file(tmp_path, "[[mix]]\nscenario = 'other.toml'")
    (problem,) = problems(toml=toml)
    assert problem.startswith(f"{other}{says}")


@pytest.mark.parametrize("text", ["mix = []", "mix = 'other.toml'", "mix = ['other.toml']", "[mix]"])
def test_a_mix_of_nothing_is_none(tmp_path: Path, text: str) -> None:
    toml = file(tmp_path, text)
    assert problems(toml=toml) == [f"{toml}:1: mix: [[mix]] tables are needed"]


def test_of_a_file_of_the_mix_what_is_the_runs_may_stand_there(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(
        "[load]\nusers = 7\n[[slo]]\nname = 'n'\nindicator = 'create.max'\nmax = 9\n[secret]\nttl_s = 60"
    )
    settings = resolved(toml=file(tmp_path, "[[mix]]\nscenario = 'other.toml'\nweight = 2"))
    (scenario,) = settings.scenarios
    assert (scenario.name, scenario.weight, scenario.secret.ttl_s) == ("other", 2, 60)
    assert (settings.load.users, settings.slo) == (20, ())


BACKEND = '[target]\navaturn_base_url = "http://127.0.0.1:1"\n[target.backend]\nurl = "http://127.0.0.1:2"\n'
NO_JSON = "JSON has no dates and no times; write it as text, in quotes"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[load]\nrate = inf", ":2: load.rate: must be a finite number; got inf"),
        ("[[load.stages]]\nrate = inf\nduration = 5", ":2: load.stages[1].rate: must be a finite number; got inf"),
        ("[[load.stages]]\nrate = nan\nduration = 5", ":2: load.stages[1].rate: must be a finite number; got nan"),
        ("[[mix]]\nscenario = 'other.toml'\nweight = inf", ":3: mix[1].weight: must be a finite number; got inf"),
        ("[[mix]]\nscenario = 'other.toml'\nweight = nan", ":3: mix[1].weight: must be a finite number; got nan"),
        ("[load]\nusers = 99999999999999999999", ": a whole number in it has more than 64 bits"),
        ("[load]\nusers = 100001", ":2: load.users: must be at most 100000; got 100001"),
        ("[[load.stages]]\nrate = 1e300\nduration = 5", ":2: load.stages[1].rate: must be at most 100000"),
        ("[load]\nrate = 1\narrivals = 'spike'\npeak = 1e300", ":4: load.peak: must be at most 100000"),
        ("[load]\nduration = 1e300", ":2: load.duration: is longer than a year"),
        (f"[load]\nduration = 1{'0' * 400}", ": a whole number in it has more than 64 bits"),
        ("[conversation]\nrepeat_for = '999999h'", ":2: conversation.repeat_for: is longer than a year"),
        ("[probes]\nshare = nan", ":2: probes.share: must be a finite number; got nan"),
        ("[caller.up]\nloss = nan", ":2: caller.up.loss: must be a finite number; got nan"),
        (BACKEND + "body = { since = 2026-01-01 }", f":5: target.backend.body: since: {NO_JSON}"),
        (BACKEND + "body = { a = [1, { at = 07:32:00 }] }", f":5: target.backend.body: a[2].at: {NO_JSON}"),
        (BACKEND + "body = { a = -inf }", ":5: target.backend.body: a: JSON has no such number"),
        ('[target]\nca_file = "a\\u0000.pem"', ": a text in it holds a NUL"),
        ('[output]\nmetrics_cert = "a\\u0000.pem"\nmetrics_key = "x"', ": a text in it holds a NUL"),
        (f"[realtime{'.a' * 900}]\nb = 1", ": it is nested too deep: more than 100 tables in each other"),
        (f"[tags{'.a' * 900}]\nb = 'c'", ": it is nested too deep: more than 100 tables in each other"),
    ],
)
def test_what_toml_allows_and_nothing_can_use_is_one_line(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "other.toml").write_text("name = 'other'")
    toml = file(tmp_path, text)
    (problem,) = problems(toml=toml)
    assert problem.startswith(f"{toml}{says}")


def test_what_an_option_or_a_variable_says_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    toml = file(tmp_path, "[load]\nusers = 7\nramp = 1")
    told = problems({"load.users": "0"}, toml=toml, AVALOAD_LOAD__RAMPS="3")
    assert told == [
        "load.users: must be at least 1; got 0",
        "load.ramps: unknown key (did you mean ramp?)",
    ]


def test_one_field_of_the_mint_can_be_set_without_the_others(tmp_path: Path) -> None:
    settings = resolved(toml=file(tmp_path, "[realtime.audio.output]\nvoice = 'cedar'"))
    assert settings.realtime["audio"]["output"] == {"voice": "cedar"}
    assert settings.realtime["audio"]["input"]["turn_detection"] == {"type": "server_vad", "threshold": 0.5}


@pytest.mark.parametrize(
    ("written", "silence_s", "assumed_phrases"),
    [
        ("", 0.5, ["silence_duration_ms 500, the default of gpt-realtime-2.1"]),
        ('model = "gpt-realtime-mini"', 0.2, ["silence_duration_ms 200, the default of gpt-realtime-mini"]),
        ('model = "gpt-realtime-2.1"', 0.5, ["silence_duration_ms 500, the default of gpt-realtime-2.1"]),
        ('model = "gpt-realtime-2025-08-28"', 0.2, ["silence_duration_ms 200, the default of gpt-realtime-2025-08-28"]),
        ("audio.input.turn_detection.silence_duration_ms = 350", 0.35, []),
        ('audio.input.turn_detection.type = "semantic_vad"', None, []),
        ('audio.input.turn_detection = "null"', None, []),
        ('audio.input = "null"', None, []),
    ],
)
def test_a_silence_that_is_left_to_the_service_is_that_of_its_model(
    tmp_path: Path, written: str, silence_s: float | None, assumed_phrases: list[str]
) -> None:
    realtime = resolved(toml=file(tmp_path, f"[realtime]\n{written}")).realtime

    assert vad_silence_s(realtime) == silence_s
    assert assumed(realtime) == assumed_phrases


def test_settings_survive_the_file_that_the_other_processes_read() -> None:
    settings = resolved({"load.users": 3, "target.room": "none"})
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


def test_without_endpoints_the_twin_is_the_target_and_no_key_is_needed() -> None:
    assert resolved().embedded_twin is True


def test_loopback_endpoints_need_keys_but_no_permission() -> None:
    assert resolved(LOOPBACK, **KEYS).embedded_twin is False
    assert problems(LOOPBACK) == [
        "OPENAI_API_KEY is not set in the environment",
        "AVATURN_API_KEY is not set in the environment",
    ]


@pytest.mark.parametrize(
    "url", ["https://api.example.com", "http://10.0.0.1", "http://127.0.0.1.example.com", "http://0.0.0.0"]
)
def test_an_endpoint_off_this_machine_is_refused_without_live(url: str) -> None:
    told = problems({**LOOPBACK, "target.avaturn_base_url": url}, **KEYS)
    assert told == [f"{url}: not on this machine; a run against it needs --live and --max-sessions N"]


def test_a_proxy_off_this_machine_is_refused_too() -> None:
    assert "http://10.0.0.1:3128" in problems({**LOOPBACK, "target.proxy": "http://10.0.0.1:3128"}, **KEYS)[0]


def test_live_alone_means_the_real_services_and_needs_a_bound_and_keys() -> None:
    assert problems({"target.live": True}) == [
        "--live needs --max-sessions N: how many sessions may be created in total",
        "OPENAI_API_KEY is not set in the environment",
        "AVATURN_API_KEY is not set in the environment",
    ]
    settings = resolved({"target.live": True, "target.max_sessions": 5}, **KEYS)
    assert settings.target.avaturn_base_url == LIVE_AVATURN


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"target.openai_base_url": "http://127.0.0.1/v1"}, "target: give both"),
        ({**LOOPBACK, "target.avaturn_base_url": "ftp://127.0.0.1"}, "is not an http(s) URL"),
        ({**LOOPBACK, "target.avaturn_base_url": "http://user:pw@127.0.0.1"}, "user name or password"),
        ({**LOOPBACK, "target.avaturn_base_url": "http://127.0.0.1:99999"}, "is not an http(s) URL"),
        ({**LOOPBACK, "target.avaturn_base_url": "http://127.0.0.1\\.far.invalid"}, "is not an http(s) URL"),
        ({**LOOPBACK, "target.avaturn_base_url": "http://127.0.0.1?v=2"}, "must be without a query"),
        ({**LOOPBACK, "target.openai_base_url": "http://127.0.0.1/v1#x"}, "must be without a query"),
        ({"output.otlp_endpoint": "http://127.0.0.1:99999"}, "is not an http(s) URL"),
        ({"output.otlp_metrics": "http://127.0.0.1:0"}, "is not an http(s) URL"),
        ({"output.otlp_metrics": "http://127.0.0.1:port"}, "is not an http(s) URL"),
        ({"output.otlp_endpoint": "http://[::1"}, "is not an http(s) URL"),
        ({"output.otlp_endpoint": "http://user@127.0.0.1"}, "user name or password"),
        ({"output.otlp_endpoint": "http://127.0.0.1/?a=b"}, "without user, query or fragment"),
        ({"target.proxy": "http://127.0.0.1:99999"}, "is not an http(s) URL"),
        ({"load.ramp": "2m"}, "ramp is longer than duration"),
        ({"load.processes": 30}, "more processes than users"),
        ({"load.rate": 1, "probes.share": 1}, "too few users are left to take the open arrivals"),
        ({"load.rate": 1, "load.max_users": 4, "load.processes": 3, "probes.share": 0.5}, "one in each load process"),
        ({"target.max_active": 5}, "20 users, but target.max_active is 5"),
        ({"output.metrics_port": "70000"}, "70000 is not a port"),
        ({"slo": [{"name": "x", "indicator": "mint.p94", "max": 1}]}, "mint.p94"),
    ],
)
def test_bad_input_is_one_sentence(options: dict[str, Any], told: str) -> None:
    (problem,) = problems(options, **KEYS)
    assert told in problem


def test_a_password_in_a_url_that_is_none_is_not_echoed() -> None:
    (problem,) = problems({**LOOPBACK, "target.avaturn_base_url": "http://user:pw@127.0.0.1:99999"}, **KEYS)
    assert problem == "target.avaturn_base_url: is not an http(s) URL with a host, such as https://api.example.com"


def test_a_secret_in_the_wrong_place_is_not_echoed(tmp_path: Path) -> None:
    assert "sk-secret" not in str(problems(toml=file(tmp_path, "openai_api_key = 'sk-secret'")))


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("10m", 600), ("1h30m", 5400), ("500ms", 0.5), ("1.5", 1.5), (2, 2), ("0", 0)]
)
def test_lengths_of_time_are_read_as_people_write_them(text: object, seconds: float) -> None:
    assert parse_s(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "10 minutes", "-1s", "1m2", "nan", "inf", True, None])
def test_anything_else_is_no_length_of_time(text: object) -> None:
    with pytest.raises(ValueError, match="length of time"):
        parse_s(text)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1", True),
        ("http://127.8.9.1:80/v1", True),
        ("http://[::1]:80", True),
        ("ws://localhost:1/x", True),
        ("http://localhost.example.com", False),
        ("http://0.0.0.0", False),
        ("http://[::]", False),
        ("http://192.168.0.1", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_itself(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_a_table_of_another_type_takes_nothing_from_the_default_one(tmp_path: Path) -> None:
    settings = resolved(toml=file(tmp_path, '[realtime.audio.input.turn_detection]\ntype = "semantic_vad"'))
    assert settings.realtime["audio"]["input"]["turn_detection"] == {"type": "semantic_vad"}
    assert settings.realtime["audio"]["input"]["transcription"] == {"model": "gpt-transcribe"}


def test_a_clip_is_found_beside_its_scenario_or_where_the_command_was_started(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    turns = "".join(
        f'[[conversation.turns]]\nkind = "say"\nclip = "{clip}"\n' for clip in ("calls", "elsewhere", "corpus:en")
    )
    settings = resolved(toml=file(tmp_path, turns))
    assert [turn.clip for turn in settings.conversation.turns if isinstance(turn, Say)] == [
        str(tmp_path / "calls"),
        "elsewhere",
        "corpus:en",
    ]


def test_a_misspelt_engine_is_said_with_those_that_there_are(tmp_path: Path) -> None:
    toml = file(tmp_path, '[session]\nengine = "openai"')
    assert problems(toml=toml) == [
        f"{toml}:2: session.engine: must be one of openai-realtime, external, cartesia, text-echo; got 'openai'"
        " (did you mean openai-realtime?)"
    ]


def test_null_in_realtime_switches_a_default_off(tmp_path: Path) -> None:
    toml = file(tmp_path, '[realtime]\naudio = {input = {transcription = "null"}}')

    (scenario,) = resolved(toml=toml).scenarios

    assert scenario.realtime["audio"]["input"]["transcription"] is None
    assert scenario.realtime["audio"]["output"] == {"voice": "marin"}


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("sk-good\n", "holds a line break, a blank or a control character"),
        ("sk-good\r", "holds a line break, a blank or a control character"),
        ("sk-a b", "holds a line break, a blank or a control character"),
        ("sk-a\u00a0b", "holds a line break, a blank or a control character"),
        ("sk-a\ufeff", "holds a line break, a blank or a control character"),
        ("\u201csk-good\u201d", "holds a sign that is not ASCII, such as a curly quote"),
        ('"sk-good"', "is in quotes"),
    ],
)
@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_no_service_made_is_refused_by_its_name_and_never_quoted(name: str, key: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved(LOOPBACK, **{**dict.fromkeys(KEYS, "good"), name: key})
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{name}: {told}")
    assert "sk-" not in caught.value.problems[0]


def backend(headers: str) -> str:
    return f'[target.backend]\nurl = "http://127.0.0.1:3/token"\n[target.backend.headers]\n{headers}\n'


def test_a_header_value_from_the_environment_may_hold_a_blank_and_no_line_break(tmp_path: Path) -> None:
    toml = tmp_path / "s.toml"
    toml.write_text(backend('Authorization = "env:OUR_TOKEN"'))
    options = {"target.avaturn_base_url": "http://127.0.0.1:2"}
    assert resolved(options, toml=toml, AVATURN_API_KEY="good", OUR_TOKEN="Bearer abc").target.backend is not None
    for value in ("Bearer abc\n", "Bearer \u201cabc\u201d", " Bearer abc"):
        with pytest.raises(ConfigError, match=r"^OUR_TOKEN: ") as caught:
            resolved(options, toml=toml, AVATURN_API_KEY="good", OUR_TOKEN=value)
        assert "abc" not in str(caught.value)


@pytest.mark.parametrize("headers", ['"X Y" = "a"', 'X = "a\\nb"', 'X = "\u201ca\u201d"'])
def test_headers_that_can_not_be_sent_are_refused(headers: str, tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(backend(headers))
    with pytest.raises(ConfigError, match=r"target\.backend\.headers: .*X"):
        resolved({"target.avaturn_base_url": "http://127.0.0.1:2"}, toml=tmp_path / "s.toml", AVATURN_API_KEY="good")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1\n/v1", "http://127.0.0.1:1/v1 ", "http://127.0.0.1:1/\tv1"])
def test_a_url_with_a_blank_in_it_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"openai_base_url: holds a blank or a line break"):
        resolved(LOOPBACK | {"target.openai_base_url": url}, **dict.fromkeys(KEYS, "good"))


def test_a_tag_is_called_what_it_is_called_dots_and_all(tmp_path: Path) -> None:
    toml = tmp_path / "s.toml"
    toml.write_text('\ufeff[tags]\napp = "shop"\nteam.name = "a"\n', encoding="utf-8")
    options = {"tags.app.kubernetes.io/name": "x", "tags.app.version": "2", "tags.app": "till"}
    tags = resolved(options, toml=toml).tags
    assert tags == {"app": "till", "team.name": "a", "app.kubernetes.io/name": "x", "app.version": "2"}


def test_a_file_of_certificates_in_the_environment_that_is_not_there_is_said_at_once() -> None:
    options = {"target.openai_base_url": "https://127.0.0.1:1/v1", "target.avaturn_base_url": "https://127.0.0.1:2"}
    with pytest.raises(ConfigError, match=r"^SSL_CERT_FILE: /nowhere/ca\.pem: No such file or directory$"):
        resolved(options, **dict.fromkeys(KEYS, "good"), SSL_CERT_FILE="/nowhere/ca.pem")


@pytest.mark.parametrize(("duration", "ramp_s"), [("4s", 2.0), ("5s", 2.5), ("6s", 5.0), ("1m", 5.0)])
def test_a_run_no_longer_than_the_default_ramp_has_a_shorter_one(duration: str, ramp_s: float) -> None:
    assert Load.model_validate({"duration": duration}).ramp == ramp_s


BACKEND = '[target.backend]\nurl = "http://x"\n'


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_scenario_that_is_tried_for_shorter_gives_way_and_says_so(how: str, tmp_path: Path) -> None:
    toml = file(tmp_path, "[load]\nusers = 2\nramp = '2m'\nduration = '4h'\nwarm_up = '10s'\npacing = '60s'")
    told: list[str] = []
    options, environ = ({"load.duration": "10s"}, {}) if how == "option" else ({}, {"AVALOAD_LOAD__DURATION": "10s"})
    load = resolve(toml, options, environ, tell=told.append).load
    assert (load.duration, load.ramp, load.warm_up, load.pacing) == (10, 5, 5, 5)
    assert told == [
        "ramp is 5 s, not 120 s: the run lasts 10 s",
        "warm_up is 5 s, not 10 s: the run lasts 10 s",
        "pacing is 5 s, not 60 s: the run lasts 10 s",
    ]


def test_what_a_scenario_or_the_same_command_line_says_together_is_taken_at_its_word(tmp_path: Path) -> None:
    toml = file(tmp_path, "[load]\nramp = '2m'\nduration = '1m'")
    assert problems(toml=toml) == [f"{toml}:1: load: ramp is longer than duration"]
    assert problems({"load.ramp": "6s", "load.duration": "5s"}) == ["load: ramp is longer than duration"]
    assert resolved({"load.duration": "9s"}, toml=file(tmp_path, "[load]\nramp = '3s'")).load.ramp == 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[load]\nusers = true", "2: load.users: must be a whole number; got 'true'"),
        ("[load]\nrate = false", "2: load.rate: must be a number; got 'false'"),
        ("[load]\nduration = true", "2: load.duration: 'true' is not a length of time such as 60s, 10m or 1h30m"),
        (
            "[load]\nduration = 00:05:00",
            "2: load.duration: 00:05:00 is not a length of time such as 60s, 10m or 1h30m (did you mean 5m?)",
        ),
        (
            "[load]\nduration = '1:30:00'",
            "2: load.duration: '1:30:00' is not a length of time such as 60s, 10m or 1h30m (d",
        ),
        (
            "[load]\nduration = 2026-01-01",
            "2: load.duration: 2026-01-01 is not a length of time such as 60s, 10m or 1h3",
        ),
        ("[load]\nstages = 3", "2: load.stages: must be a list, in brackets"),
        ("[load.stages]\nusers = 3", "1: load.stages: must be a list of tables: [[load.stages]], with two brackets"),
        ("[[load.stages]]\nusers = 3\nduration = 0", "3: load.stages[1].duration: must be above 0; got 0"),
        ("[[load.stages]]\nusers = 3", "1: load.stages[1].duration: is missing"),
        (f'{BACKEND}method = "post"', "3: target.backend.method: must be in capital letters, such as POST; got 'post'"),
        (f'{BACKEND}headers = "hunter2"', "3: target.backend.headers: must be a table; got text"),
        ('[[waive]]\nrule = "TR-2"\nreason = ""', "3: waive[1].reason: must not be empty"),
        (f'[[load.stages]]\nname = "{"x" * 65}"\nusers = 3\nduration = 5', "2: load.stages[1].name: must have 64 char"),
        ('[session]\nbackground = "green"', "2: session.background: must be one of default, transparent; got 'green'"),
        ("[secret]\nttl_s = 7201.5", "2: secret.ttl_s: must be a whole number; got 7201.5"),
        ("tags = [1]", "1: tags: must be a table; got a list"),
        ('output = "here"', "1: output: must be a table; got text"),
        ("[output]\nrun_dir = 5", "2: output.run_dir: must be a path, as text in quotes; got 5"),
    ],
)
def test_every_kind_of_mistake_is_said_in_words_of_ours(text: str, says: str, tmp_path: Path) -> None:
    toml = file(tmp_path, text)
    (told,) = problems(toml=toml, **KEYS)
    assert told.startswith(f"{toml}:{says}")


def test_what_looks_like_a_secret_is_not_quoted(tmp_path: Path) -> None:
    toml = file(tmp_path, '[session]\nengine = "sk-abcdefgh12345678"')
    (told,) = problems(toml=toml)
    assert told == f"{toml}:2: session.engine: must be one of openai-realtime, external, cartesia, text-echo"


def test_a_stored_prompt_brings_its_own_instructions(tmp_path: Path) -> None:
    stored = "[realtime.prompt]\nid = 'pmpt_1'\n"
    assert "instructions" not in resolved(toml=file(tmp_path, stored)).realtime
    asked = resolved(toml=file(tmp_path, f"[realtime]\ninstructions = 'x'\n{stored}")).realtime
    assert (asked["instructions"], asked["prompt"]) == ("x", {"id": "pmpt_1"})


@pytest.mark.parametrize("scenario", ["[load]\nrate = 5\n", '[[load.stages]]\nusers = 3\nduration = "5s"\n'])
def test_users_of_the_environment_put_aside_what_the_scenario_says_of_the_model(tmp_path: Path, scenario: str) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(scenario)
    load = resolve(path, {}, {"AVALOAD_LOAD__USERS": "7"}).load
    assert (load.users, load.rate, load.stages) == (7, None, ())
    load = resolve(path, {"load.rate": 2}, {"AVALOAD_LOAD__USERS": "7"}).load
    assert (load.rate, load.stages) == (2, ())


STAGES = '[[load.stages]]\nusers = 3\nduration = "5s"\n'


@pytest.mark.parametrize(
    ("scenario", "options", "environ", "told"),
    [
        (STAGES, {"load.users": "7"}, {}, ["stages are put aside: the run lasts 60 s; say --duration"]),
        (STAGES, {}, {"AVALOAD_LOAD__USERS": "7"}, ["stages are put aside: the run lasts 60 s; say --duration"]),
        (STAGES, {"load.duration": "9s"}, {"AVALOAD_LOAD__USERS": "7"}, []),
        (STAGES, {"load.rate": "7", "load.duration": "9s"}, {}, []),
        (STAGES, {"load.seed": "7"}, {}, []),
        (
            "[load]\ntrace = 't.csv'",
            {"load.rate": 7},
            {},
            ["the trace is put aside: the run lasts 60 s; say --duration"],
        ),
        ("[load]\nrate = 3", {"load.users": "7"}, {}, []),
    ],
)
def test_who_puts_aside_what_says_how_long_the_run_is_hears_how_long_it_lasts(
    scenario: str, options: dict[str, Any], environ: dict[str, str], told: list[str], tmp_path: Path
) -> None:
    said: list[str] = []
    resolve(file(tmp_path, scenario), options, environ, tell=said.append)
    assert said == told
