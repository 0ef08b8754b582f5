"""The master's port is for its workers alone: every socket on it speaks CURVE, and what comes through it is looked at
before it is believed.

`keys`: what the cluster token becomes; `callers`: who is connected and has not spoken yet; `refusals`: what was turned
away, counted and told; `sockets`: Locust's own sockets and master with all of them.
"""
