"""The languages of the corpus, by tag (BCP 47), and what else people call them."""

import re
from collections.abc import Mapping
from typing import Final

from loadtest.text.mistyped import nearest_word

LANGUAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("english", "eng"),
    "de": ("german", "deutsch", "ger", "deu"),
    "fr": ("french", "français", "francais", "fre", "fra"),
    "es": ("spanish", "español", "espanol", "castellano", "spa"),
    "it": ("italian", "italiano", "ita"),
    "pt": ("portuguese", "português", "portugues", "brazilian", "por"),
}
TAG: Final = r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}$"
"""de, pt-BR, zh-Hans-CN; an underscore, as locales have it, is meant as well."""


def is_tag(word: str) -> bool:
    """Whether it is the tag of some language."""
    return re.match(TAG, word) is not None


def nearest(word: str) -> str | None:
    """The tag of the corpus that somebody may have meant by de-AT, german, ger or EN; None: none of them."""
    plain = word.strip().lower()
    first = re.split(r"[-_ ]", plain)[0]
    called = {name: tag for tag, names in LANGUAGES.items() for name in (tag, *names)}
    if found := called.get(plain) or called.get(first):
        return found
    if len(plain) <= 3:  # all short words are alike
        return None
    meant = nearest_word(plain, called, nearness=0.7)
    return called[meant] if meant else None
