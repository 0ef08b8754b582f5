"""Load processes under Locust, and the processes beside them: their start and end, users, tickets, conductor, progress.
Sessions are handed to an engine.
"""
