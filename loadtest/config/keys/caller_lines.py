"""Callers' lines by name, as `caller_lines.toml` has them."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from loadtest.text.mistyped import did_you_mean


@cache
def profiles() -> Mapping[str, Mapping[str, Any]]:
    """By name: `source`, and keys of `[caller]`."""
    return tomllib.loads(Path(__file__).with_name("caller_lines.toml").read_text(encoding="utf-8"))


def with_profile(given: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of `[caller]` with those of its profile; what is given beside it wins, key by key. Raises ValueError for
    a profile that there is none of."""
    name = given.get("profile")
    if not isinstance(name, str):
        return dict(given)
    if name not in profiles():
        known = ", ".join(profiles())
        raise ValueError(f"profile: there is no {name!r}, but {known}{did_you_mean(name, profiles())}")
    merged: dict[str, Any] = {key: value for key, value in profiles()[name].items() if key != "source"}
    for key, value in given.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = {**merged[key], **value} if both else value
    return merged
