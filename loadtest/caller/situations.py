"""What a `Situation` puts between a listener, a microphone and the room that both belong to. Of None it is nothing."""

from collections.abc import Callable, Sequence

from loadtest.caller.echo import Echo, EchoingMicrophone, Loudspeaker
from loadtest.caller.microphone import Microphone, Sends
from loadtest.caller.packets import Downlink, Later, Uplink
from loadtest.session.ports import Listener, Situation


class Around:
    """Of one room. `listener`: whom the room has to tell what it hears. `sends_again`: what carries its sound does so,
    when some of it is lost. Without `later` there is no line."""

    def __init__(
        self, listener: Listener, situation: Situation | None, later: Later | None, *, sends_again: bool
    ) -> None:
        self._told, self._situation, self._later, self._sends_again = listener, situation, later, sends_again
        self._line = None if situation is None or later is None else situation.line
        self.echo: Echo | None = None
        self._down: Downlink | None = None
        self._up: Uplink | None = None
        if situation is not None and situation.caller.echo_dbfs is not None:
            delay_ns = round(situation.caller.echo_delay_s * 1e9)
            phone = situation.caller.band == "phone"
            self.echo = Echo(level_dbfs=situation.caller.echo_dbfs, delay_ns=delay_ns, phone=phone)
        if self._line is not None and later is not None:
            listener = self._down = Downlink(self._line.down, listener, later, self.echo, sends_again=sends_again)
        elif self.echo is not None:
            listener = Loudspeaker(listener, self.echo)
        self.listener = listener

    def microphone(self, between: Sequence[bytes], *, ahead_ns: int = 0) -> Sends:
        """What is sent; `ahead_ns`: frames are taken so long before they leave. Where there is noise between clips,
        each caller hears it from another place on."""
        situation = self._situation
        first = 0 if situation is None or len(between) < 2 else situation.chance.randrange(len(between))
        microphone = Microphone(between, first=first)
        if self.echo is None:
            return microphone
        return EchoingMicrophone(microphone, self.echo, self._on_sent, ahead_ns=ahead_ns)

    def _on_sent(self, t_ns: int, pcm: bytes) -> None:
        (self._told if self._up is None else self._up).on_sent(t_ns, pcm)

    def uplink(self, put: Callable[[bytes | None], None]) -> Uplink | None:
        """The line for what the microphone sends; None: it goes straight into the room."""
        if self._line is not None and self._later is not None:
            self._up = Uplink(self._line.up, self._told, self._later, put, sends_again=self._sends_again)
        return self._up

    def leave(self) -> None:
        """What is still on the line arrives nowhere."""
        for way in (self._up, self._down):
            if way is not None:
                way.is_cut = True
