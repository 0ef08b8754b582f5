"""Variables of the environment that look like settings and are none."""

import pytest

from loadtest.config.resolve import resolve
from loadtest.language.errors import ConfigError


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
