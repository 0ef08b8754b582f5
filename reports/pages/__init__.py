"""A report as people read it: HTML, Markdown, JUnit, annotations, charts."""
