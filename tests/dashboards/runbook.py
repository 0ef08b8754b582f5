"""How RUNBOOK.md is linked to."""

import re


def anchors(markdown: str) -> set[str]:
    """What headings are linked by."""
    headings = re.findall(r"^#+ (.+)$", markdown, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
