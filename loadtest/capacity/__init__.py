"""The search for the limit: `search.py` chooses the levels, `stages.py` folds the events of each into its figures,
`facts.py` says what these mean, `limit.py` what all of them say together, `steering.py` has a run live through them.

One run holds all stages: its users are parked between them, its journals are the only record, and the report works the
whole result out again from them.
"""
