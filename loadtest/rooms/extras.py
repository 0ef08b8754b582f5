"""Which kinds of room need a package that only an extra installs. Nothing is imported here."""

from importlib.util import find_spec

from loadtest.errors.exceptions import ConfigError

PACKAGES = {"webrtc": "aiortc", "daily": "daily"}
"""By kind of room, which is the name of the extra too."""


def is_installed(kind: str) -> bool:
    """Whether rooms of this kind can be opened."""
    package = PACKAGES.get(kind)
    try:
        return package is None or find_spec(package) is not None
    except ValueError:  # a module in its place that was never loaded from anywhere
        return False


def missing(kind: str) -> str:
    """What to say to whoever wants such a room and can't have it."""
    return f"a {kind} room needs the extra {kind}: pip install 'avaload[{kind}]'"


def check_installed(kind: str) -> None:
    """Raises ConfigError if such rooms can't be opened."""
    if not is_installed(kind):
        raise ConfigError(f"target.room: {missing(kind)}")
