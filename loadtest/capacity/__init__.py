"""The search for the limit: `search.py` chooses the levels, `facts.py` says what a stage showed, `limit.py` what all of
them say together, `steering.py` has a run live through them, `plan.py` works out what so many users would need.

One run holds all stages: its users are parked between them, its journals are the only record, and the report works the
whole result out again from them.
"""
