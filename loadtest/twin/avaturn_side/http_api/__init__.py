"""Avaturn's HTTP: the public API, the SDK's API, WHIP."""
