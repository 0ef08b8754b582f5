"""Before the load: what a plan would do (`expected.py`, by the schedule that `playing.py` plays through), what it would
cost (`costing.py`), and what so many users would need, as a run has shown it (`plan.py`). It knows settings and prices,
and contacts nobody.
"""
