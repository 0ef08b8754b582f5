"""The engine `cartesia`: accepted, but there is no Cartesia behind the twin (docs/contract.md#creating-a-session)."""

from loadtest.twin.avaturn_side.engines.engine import Stage


class Cartesia:
    """Never gets ready, and says so."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def open(self) -> None:
        """There is nobody to connect to."""
        self._stage.upstream_refused(None, reason="The twin has no Cartesia to connect to.")

    def append(self, pcm: bytes) -> None:
        """Nobody hears it."""

    def task(self, task_id: str, text: str) -> None:
        """Nobody says it."""

    def cancel_tasks(self) -> None:
        """There are none."""

    def change_voice(self, voice: str) -> None:
        """There is none."""

    def message(self, data: object) -> None:
        """Nobody reads it."""

    def leave(self) -> None:
        """Nothing is open."""
