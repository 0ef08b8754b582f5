"""What is said of each setting: once, in its field, for the help of options and for the reference."""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import pytest

from loadtest import config
from loadtest.config.keys.scenario import Section


def sections() -> Iterator[type[Section]]:
    """Every table that a scenario may have."""
    for module in pkgutil.walk_packages(config.__path__, "loadtest.config."):
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            if issubclass(kind, Section) and kind.__module__ == module.name and kind is not Section:
                yield kind


@pytest.mark.parametrize("section", list(sections()), ids=lambda section: section.__name__)
def test_every_key_says_what_it_is(section: type[Section]) -> None:
    for name, field in section.model_fields.items():
        text = field.description or ""
        assert 2 <= len(text.split()) <= 25, f"{name}: {text!r}"
        assert not text.endswith("."), name
    assert section.__doc__


def test_all_tables_are_looked_at() -> None:
    names = {section.__name__ for section in sections()}
    assert {"Settings", "Load", "LoadStage", "Target", "BackendTarget", "OwnDelete", "Output", "Say", "Waive"} <= names
