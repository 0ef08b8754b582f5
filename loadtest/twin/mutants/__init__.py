"""The ways in which the twin can be wrong on purpose, each against a rule of docs/contract.md#rules.

A mutant is a subclass of the honest part that takes one decision otherwise; the honest code knows of none. Several
combine like any subclasses. The first line of its docstring is its line in TWIN.md.
"""

import types
from collections.abc import Collection
from typing import cast

from loadtest.twin.mutants import client_secrets, conversations, endings, refusals
from loadtest.twin.parts import Make, T

MUTANTS: dict[str, type] = {
    **client_secrets.MUTANTS,
    **endings.MUTANTS,
    **conversations.MUTANTS,
    **refusals.MUTANTS,
}
"""By name: the id of the rule that it breaks, and how."""


def maker(names: Collection[str]) -> Make:
    """Makes the parts of a twin with these mutants. Raises KeyError for an unknown name."""
    chosen = [MUTANTS[name] for name in sorted(names)]
    made: dict[type, type] = {}

    def make(part: type[T], /) -> type[T]:
        if part not in made:
            mutants = [mutant for mutant in chosen if issubclass(part, mutant.__bases__[0])]
            made[part] = types.new_class(part.__name__, (*mutants, part)) if mutants else part
        return cast("type[T]", made[part])

    return make
