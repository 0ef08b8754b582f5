"""What differs between the settings of two runs: of their plan, which forbids a comparison, and else, which may be the
change that is looked for."""

import re
from collections.abc import Mapping
from typing import Any, Final

from loadtest.config.run_dir import SETTINGS, Written
from loadtest.config.settings import Settings
from loadtest.criteria.words import cut, plural

_FREE_OF_LOAD: Final = ("duration", "ramp", "graceful_stop", "processes", "seed", "max_lateness", "max_users")
"""Of [load], what may differ between runs that are compared; the rest decides how busy the target is."""
_OTHER: Final = ("git_revision", "versions", "host", "embedded_twin", "tags")
_FIRST_DEFAULTS: Final = {
    "realtime": {"model": "gpt-realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}
}
"""Of the versions that didn't write theirs down, those that have changed since."""
_IN_A_MIX: Final = re.compile(r"^mix\.[^.]+\.(?=realtime\.|session\.|secret\.)")
_LINES: Final = 10
_LONGEST: Final = 80
"""Characters of a value that are told."""
_BEFORE: Final = 20
"""So many of them from before the first difference."""


def other_plan(base: Settings | None, new: Settings | None, *, of_load: bool = True) -> list[str]:
    """What differs in what sessions do and, with `of_load`, in how many there are at once, a line each. A room that is
    `auto` is not known before the target has said which it is."""
    if base is None or new is None:
        return []
    plans = [{key: part for key, part in _plan(side).items() if of_load or key != "load"} for side in (base, new)]
    lines = []
    for key, old, now in _changes(*plans):
        if "auto" not in (old, now):
            was, is_now = _words(old, now)
            lines.append(f"{key} is {is_now}, {'and was not set' if old is None else f'not {was}'}")
    return cut(lines, _LINES, SETTINGS)


def differences(base: Written, new: Written) -> list[dict[str, Any]]:
    """Settings that differ and may be the change that is looked for: rows of key, base, new, and whether each side has
    the default of the version that ran it."""
    defaults = [_flat(written.defaults or _FIRST_DEFAULTS) for written in (base, new)]
    return [
        {
            "key": key,
            **dict(zip(("base", "new"), _words(old, now), strict=True)),
            "default_changed": [each.get(_IN_A_MIX.sub("", key)) for each in defaults] == [old, now],
        }
        for key, old, now in _changes(_free(base), _free(new))
    ]


def _plan(settings: Settings) -> dict[str, Any]:
    return {
        "load": settings.load.model_dump(mode="json", exclude=set(_FREE_OF_LOAD)),
        **_of_sessions(settings, "weight", "conversation", "caller"),
        "probes": {"share": settings.probes.share},
        "target": {"room": settings.target.room, "http": settings.target.http},
    }


def _of_sessions(settings: Settings, *keys: str) -> dict[str, Any]:
    """What sessions are made of: of a mix its scenarios' by name, since the run's own sections are then nobody's."""
    kept = set(keys)
    if settings.mix:
        return {"mix": {each.name: each.model_dump(mode="json", include=kept) for each in settings.mix}}
    return settings.model_dump(mode="json", include=kept)


def _free(written: Written) -> dict[str, Any]:
    """All settings but those of the plan, and but those that are of this one run."""
    kept: dict[str, Any] = {}
    if (settings := written.settings) is not None:
        of_run = {"room", "http", *(("openai_base_url", "avaturn_base_url") if written.embedded_twin else ())}
        kept = _of_sessions(settings, "secret", "session", "realtime")
        kept["load"] = settings.load.model_dump(mode="json", include=set(_FREE_OF_LOAD))
        kept["probes"] = settings.probes.model_dump(mode="json", exclude={"share", "once"})
        kept["target"] = settings.target.model_dump(mode="json", exclude=of_run)
    return kept | {key: getattr(written, key) for key in _OTHER}


def _changes(base: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    flat = [_flat(side) for side in (base, new)]
    keys = dict.fromkeys((*flat[0], *flat[1]))
    return [(key, flat[0].get(key), flat[1].get(key)) for key in keys if flat[0].get(key) != flat[1].get(key)]


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Values by dotted names; what is in a table of a list has its number, as on the report's page."""
    if isinstance(tree, Mapping):
        branches = {f"{prefix}.{name}" if prefix else str(name): branch for name, branch in tree.items()}
    elif isinstance(tree, list) and any(isinstance(item, Mapping) for item in tree):
        branches = {f"{prefix}[{number}]": item for number, item in enumerate(tree, 1)}
    else:
        return {prefix: tree} if tree not in (None, "", [], ()) else {}
    return {key: value for name, branch in branches.items() for key, value in _flat(branch, name).items()}


def _words(old: Any, new: Any) -> tuple[str, str]:
    """Both as texts that differ: long ones from shortly before their first difference, or long lists by their lengths
    where these differ."""
    was, now = texts = _text(old), _text(new)
    if max(map(len, texts)) > _LONGEST:
        if isinstance(old, list) and isinstance(new, list) and len(old) != len(new):
            return plural(len(old), "value"), plural(len(new), "value")
        alike = next(
            (at for at, (one, other) in enumerate(zip(was, now, strict=False)) if one != other), min(map(len, texts))
        )
        begin = max(0, alike - _BEFORE)
        return _from(was, begin), _from(now, begin)
    return was, now


def _text(value: Any) -> str:
    return "not set" if value is None else f"{value:.15g}" if isinstance(value, float) else str(value)


def _from(text: str, begin: int) -> str:
    text = f"…{text[begin:]}" if begin else text
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
