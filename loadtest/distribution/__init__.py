"""A run over several hosts: what the worker's command and the master's Locust process say to each other.

Locust's own master and workers conduct the users. Beside them, over the same port, each worker's command talks to the
master: it joins and gets the scenario, settings and clips (`parcel`); it is the heartbeat of its host, measures the
offset of its clock and ships the journals of its processes home (`shipping`, `receiving`). The command is no load
process: what is killed on its host, it still brings the journals home. `hosts` is the master's side, `worker` the
command.
"""
