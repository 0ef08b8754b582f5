"""The session engine: an un-patched asyncio child per Locust process that runs the sessions and writes their journal.

`process.py` is its main, `engine.py` what runs in it, `client.py` the Locust side. Why a process: under gevent's monkey
patch arrival stamps were wrong by tens of ms and asyncio libraries fail silently (DECISIONS.md#structure).
"""
