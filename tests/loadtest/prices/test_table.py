"""The price table: ours, and a user's own rows over it."""

from datetime import date
from pathlib import Path

import pytest

from loadtest.errors.exceptions import ConfigError
from loadtest.prices.table import over, plain, prices, read


def test_every_row_of_ours_says_when_and_where_it_was_looked_up() -> None:
    for place, row in prices().rows().items():
        assert isinstance(row.as_of, date), place
        assert row.source not in ("", "your own"), place


def test_cached_tokens_are_never_dearer_than_fresh_ones() -> None:
    for name, model in prices().models.items():
        assert model.audio.cached < model.audio.input < model.audio.output, name
        assert model.text.cached < model.text.input < model.text.output, name


def test_a_snapshot_costs_what_its_model_does() -> None:
    table = prices()
    assert table.model("gpt-realtime-2025-08-28") == table.model("gpt-realtime")
    assert table.model("gpt-realtime-9") is None
    assert table.model(None) is None
    assert table.transcriber("whisper-1-2024-01-01") == table.transcriber("whisper-1")


def test_a_row_of_ones_own_keeps_what_it_leaves_out_but_not_its_origin() -> None:
    table = prices({"models": {"gpt-realtime": {"audio": {"output": 50.0}}}})
    model = table.model("gpt-realtime")
    assert model is not None
    assert (model.audio.input, model.audio.output, model.text.output) == (32.0, 50.0, 16.0)
    assert (model.as_of, model.source) == (None, "your own")
    assert table.model("gpt-realtime-2.1") == prices().model("gpt-realtime-2.1")


def test_every_problem_of_a_file_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(
        '[avatar]\nper_minut = 0.1\n[models.mine]\naudio = {input = 1, cached = -1, output = "x"}\n[host]\ncores = 0\n'
        "[nonsense]\n"
    )
    with pytest.raises(ConfigError) as caught:
        read(path)
    told = set(caught.value.problems)
    assert f"{path}:2: avatar.per_minut: unknown key (did you mean per_minute?)" in told
    assert f"{path}:4: models.mine.audio.cached: Input should be greater than or equal to 0" in told
    assert f"{path}:3: models.mine.text is missing" in told
    assert f"{path}:6: host.cores: Input should be greater than or equal to 1" in told
    assert f"{path}:7: nonsense: unknown key" in told


@pytest.mark.parametrize(
    "text", ["avatar = 3", "[avatar]\nper_minute = inf", "[avatar]\nper_minute = true", "models = []"]
)
def test_what_is_no_price_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        read(path)


def test_dates_survive_the_way_through_settings_json() -> None:
    own = plain({"avatar": {"as_of": date(2026, 1, 2), "per_minute": 0.2, "source": "contract"}})
    assert own == {"avatar": {"as_of": "2026-01-02", "per_minute": 0.2, "source": "contract"}}
    assert prices(own).avatar.as_of == date(2026, 1, 2)


def test_rows_are_laid_over_others_of_ones_own_as_over_ours() -> None:
    under = {
        "avatar": {"per_minute": 0.2, "as_of": date(2026, 1, 2)},
        "models": {"mine": {"audio": {"input": 1, "cached": 1, "output": 2}}},
    }
    own = {"avatar": {"per_minute": 0.3}, "models": {"mine": {"audio": {"output": 9}}, "other": {"text": {"input": 5}}}}
    found = over(own, under)
    assert found["avatar"] == {"per_minute": 0.3}  # the day was another figure's
    assert found["models"]["mine"]["audio"] == {"input": 1, "cached": 1, "output": 9}
    assert found["models"]["other"] == {"text": {"input": 5}}
    assert under["models"] == {"mine": {"audio": {"input": 1, "cached": 1, "output": 2}}}
    for nothing in (None, {}, 3, {"avatar": 3, "models": 3}):
        assert over(own, nothing) == own
    assert over({"nonsense": 1}, {}) == {"nonsense": 1}
