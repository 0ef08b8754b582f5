"""A report as people read it: HTML, Markdown, JUnit, annotations, charts."""

import logging

# Without a home to write in it keeps its caches in a temporary folder, which is as good, and would say so in two lines.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
