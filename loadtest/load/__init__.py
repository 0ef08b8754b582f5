"""A load process under Locust: its supervisor, conductor, users, tickets and progress. It hands sessions to an
engine.
"""
