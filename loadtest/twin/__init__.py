"""The embedded twin of OpenAI Realtime and Avaturn Live, over real sockets. It imports nothing else of this project."""

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Serve the twin until SIGINT or SIGTERM (`avaload twin`); returns the exit code.

    The server's libraries are imported only now: who merely imports this package doesn't pay for them.
    """
    from loadtest.twin.serving import main as serve

    return serve(argv)
