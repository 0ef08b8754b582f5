"""The rules at the end of docs/contract.md, from loadtest/criteria/statements.py."""

from typing import Final

from docs.generator.markdown import table
from loadtest.criteria.statements import RULES, Group, Prod, Source, Standing

_BEGIN: Final = "<!-- rules -->\n"
_END: Final = "<!-- /rules -->"
_TRIED: Final = {
    Prod.AS_IS: "against production as it is",
    Prod.LONG: "against production, but costs long time or money",
    Prod.MOCK: "against the twin alone: a fault has to be injected, or OpenAI's side to be seen",
    Prod.PASSIVE: "nothing to provoke: every session shows it, or the settings do",
}
_BREACH: Final = {
    Standing.BINDING: "the outcome is `fail`, and so is the run's: exit 3",
    Standing.ASSUMED: "counted and told as `characterised`; fails nothing",
    Standing.OPEN: "nobody knows the right answer: what was seen is told, always as `characterised`",
}
_SEEN_IN: Final = {Source.LOAD: "load sessions", Source.PROBE: "`avaload probe`"}


def written(page: str) -> str:
    """The page with its rules made anew."""
    before, _, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise ValueError("docs/contract.md has no place for the rules")
    return before + _BEGIN + "\n".join(_lines()) + "\n" + end + after


def _lines() -> list[str]:
    lines = ["Generated from `loadtest/criteria/statements.py` by `make generated`; do not edit.", ""]
    lines += table(("standing", "a breach of such a rule"), [(each.value, _BREACH[each]) for each in Standing])
    lines += ["", *table(("tried", "where"), [(f"`{each.value}`", _TRIED[each]) for each in Prod])]
    for group in Group:
        rows = [
            (
                each.id,
                each.statement,
                each.standing.value,
                ", ".join(word.value for word in each.words),
                f"`{each.prod.value}`",
                ", ".join(_SEEN_IN[source] for source in each.reads),
            )
            for each in RULES.values()
            if each.group is group
        ]
        lines += ["", f"### Rules of {group.value}", ""]
        lines += table(("id", "rule", "standing", "word", "tried", "judged by"), rows)
    return lines
