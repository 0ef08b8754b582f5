"""Journals → answers. `reports.build.build` is the entry; pandas is used in this package only."""
