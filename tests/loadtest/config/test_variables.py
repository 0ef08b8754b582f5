"""Variables of the environment that look like settings and are none."""

from pathlib import Path

import pytest

from loadtest.config.resolve import resolve
from loadtest.events.errors import ConfigError


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
