"""Variables of the environment that are settings, and those that only look like one."""

from pathlib import Path
from typing import Any

import pytest

from loadtest.config.resolve import resolve
from loadtest.errors.exceptions import ConfigError


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("AVALOAD_SLO", "; --slo FILE says it, or the scenario's file"),
        ("AVALOAD_NAME", "; the scenario's file says it"),
        ("AVALOAD_TAGS", "; a section, its key follows after two underscores: AVALOAD_TAGS__KEY"),
        ("AVALOAD_TAGS_BUILD", "; two underscores follow the section: AVALOAD_TAGS__BUILD"),
        ("AVALOAD_REALTIME_MODEL", "; two underscores follow the section: AVALOAD_REALTIME__MODEL"),
        ("AVALOAD_LOAD", "; a section, its key follows after two underscores: AVALOAD_LOAD__KEY"),
        ("AVALOAD_LOAD_USERS", "; two underscores follow the section: AVALOAD_LOAD__USERS"),
        ("AVALOAD_LOAD_USER", " (did you mean AVALOAD_LOAD__USERS?)"),
        ("AVALOAD_TARGET_BACKEND_URL", "; two underscores follow the section: AVALOAD_TARGET__BACKEND__URL"),
        ("AVALOAD_MAX_SESSIONS", "; its section comes first: AVALOAD_TARGET__MAX_SESSIONS"),
    ],
)
def test_a_variable_that_is_meant_as_a_setting_is_refused_and_told_right(name: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve(None, {}, {name: "1"})
    assert refused.value.problems == [f"{name}: unknown{says}"]


@pytest.mark.parametrize(
    "name", ["AVALOAD_USER", "AVALOAD_LOG", "AVALOAD_CLUSTER_TOKEN", "AVALOAD_TARGET_TOKEN", "AVALOAD_RULE"]
)
def test_a_variable_that_is_somebody_s_own_stays_his(name: str) -> None:
    assert resolve(None, {}, {name: "1"}) == resolve(None, {}, {})


def test_a_tag_may_come_from_the_environment() -> None:
    assert resolve(None, {}, {"AVALOAD_TAGS__BUILD": "7"}).tags == {"build": "7"}


def test_a_price_may_come_from_the_environment() -> None:
    prices = {"AVALOAD_COST__PRICES__AVATAR__PER_MINUTE": "0.09"}
    assert resolve(None, {}, prices).cost.table.avatar.per_minute == 0.09
    for nonsense in ("much", "nan", "-1"):
        with pytest.raises(ConfigError):
            resolve(None, {}, dict.fromkeys(prices, nonsense))


def test_prices_of_a_file_lie_over_those_of_the_scenario_and_of_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "s.toml"
    path.write_text('[cost.prices.avatar]\nper_minute = 0.2\n[cost.prices.transcription."whisper-1"]\nper_minute = 1\n')
    own = {"cost.prices": {"transcription": {"whisper-1": {"per_minute": 2.0}}}}
    variables = {"AVALOAD_COST__PRICES__HOST__PER_HOUR": "3"}
    table = resolve(path, own, variables).cost.table
    assert (table.avatar.per_minute, table.transcription["whisper-1"].per_minute, table.host.per_hour) == (0.2, 2, 3)


def test_a_list_in_a_variable_has_commas() -> None:
    environ = {"AVALOAD_PROBES__RULES": "EXP-1, TD-1,", "AVALOAD_PROBES__SHARE": "0.5"}
    assert resolve(None, {}, environ).probes.rules == ("EXP-1", "TD-1")


@pytest.mark.parametrize("value", ["", " "])
@pytest.mark.parametrize(
    "name", ["AVALOAD_SESSION__AVATAR_ID", "AVALOAD_OUTPUT__RUN_DIR", "AVALOAD_OUTPUT__BASELINE", "AVALOAD_TAGS__BUILD"]
)
def test_an_empty_variable_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as refused:
        resolve(None, {}, {name: value})
    assert refused.value.problems == [f"{name}: is empty; unset it, or give a value"]


def test_two_variables_of_one_setting_are_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        resolve(None, {}, {"AVALOAD_LOAD__USERS": "3", "AVALOAD_load__users": "5"})
    says = "AVALOAD_load__users: says the same setting as AVALOAD_LOAD__USERS; unset one of them"
    assert refused.value.problems == [says]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.3", 0.3),
        ("7", 7),
        ("-1e3", -1000.0),
        ("false", False),
        ('["text", 1]', ["text", 1]),
        ('{"a": {"b": null}}', {"a": {"b": None}}),
        ('"7"', "7"),
        ('""', ""),
        ("null", None),
        ("marin", "marin"),
        ("007", "007"),
        ("NaN", "NaN"),
        ('{"a"', '{"a"'),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_a_variable_below_realtime_has_the_type_that_it_has_as_json(text: str, value: object) -> None:
    found = resolve(None, {}, {"AVALOAD_REALTIME__OF__TOMORROW": text}).realtime["of"]["tomorrow"]
    assert (found, type(found)) == (value, type(value))


def test_json_in_a_variable_may_hold_what_a_scenario_may() -> None:
    says_of = {
        "9" * 20: "a whole number in it has more than 64 bits",
        "[" * 200 + "]" * 200: "too deep",
        r'{"a": "\ud800"}': "holds half of a character",
    }
    for text, says in says_of.items():
        with pytest.raises(ConfigError, match=rf"^AVALOAD_REALTIME__A: .*{says}"):
            resolve(None, {}, {"AVALOAD_REALTIME__A": text})


BACKEND = """
[target]
avaturn_base_url = "http://127.0.0.1:1"
[target.backend]
url = "http://127.0.0.1:2/x"
[target.backend.headers]
Authorization = "Bearer aaaaaaaa"
[target.backend.body]
avatarId = "a"
n = 5
Inner = { Deep = 1 }
"""


def backend(tmp_path: Path, text: str = BACKEND, **said: str) -> tuple[dict[str, str], Any]:
    """The headers and the body that are sent."""
    (tmp_path / "s.toml").write_text(text)
    variables = {f"AVALOAD_TARGET__BACKEND__{name}": value for name, value in said.items()}
    found = resolve(tmp_path / "s.toml", {}, {"AVATURN_API_KEY": "key"} | variables).target.backend
    assert found is not None
    return {name: value.reveal() for name, value in found.headers.items()}, found.sent_body


def test_a_variable_takes_the_place_of_the_key_that_the_scenario_writes_in_other_letters(tmp_path: Path) -> None:
    headers, body = backend(
        tmp_path, HEADERS__AUTHORIZATION="12345678", BODY__AVATARID="b", BODY__N="7", BODY__INNER__DEEP="2", BODY__X="y"
    )
    assert headers == {"Authorization": "12345678"}
    assert body == {"avatarId": "b", "n": 7, "Inner": {"Deep": 2}, "x": "y"}
    assert backend(tmp_path, BODY='{"userId": [1]}', BODY__USERID="2")[1] == {"userId": 2}


def test_a_variable_takes_the_place_of_the_key_in_its_own_letters_first(tmp_path: Path) -> None:
    _, body = backend(tmp_path, BACKEND + "N = 6\n", BODY__N="7")
    assert (body["n"], body["N"]) == (7, 6)


def test_two_headers_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = BACKEND.replace("[target.backend.body]", 'authorization = "Bearer bbbbbbbb"\n[target.backend.body]')
    with pytest.raises(ConfigError, match=r"headers: Authorization and authorization are one header: give one of them"):
        backend(tmp_path, twice)


def test_a_trace_that_a_variable_names_is_looked_for_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "trace.csv").write_text("start\n0\n1\n2\n3\n")
    (tmp_path / "sub" / "trace.csv").write_text("start\n0\n1\n")
    (tmp_path / "sub" / "s.toml").write_text('name = "s"\n')
    (tmp_path / "sub" / "own.toml").write_text('[load]\ntrace = "trace.csv"\n')
    monkeypatch.chdir(tmp_path)
    variable = {"AVALOAD_LOAD__TRACE": "trace.csv"}
    found = [
        resolve(Path("sub/s.toml"), {}, variable).load.trace,
        resolve(Path("sub/s.toml"), {"load.trace": "trace.csv"}, {}).load.trace,
        resolve(Path("sub/own.toml"), {}, {}).load.trace,
    ]
    assert found == [(0, 1, 2, 3), (0, 1, 2, 3), (0, 1)]
