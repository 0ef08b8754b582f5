"""avaload: load tests of whole real-time avatar sessions. Start reading at `lifecycle.py` and `events.py`."""

__version__ = "0.1.0"
