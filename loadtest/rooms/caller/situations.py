"""What a `Situation` puts between a listener, a microphone and the room that both belong to. Of None it is nothing."""

from collections.abc import Sequence

from loadtest.rooms.caller.echo import Echo, EchoingMicrophone, Loudspeaker
from loadtest.rooms.microphone import Microphone, Sends
from loadtest.session.ports import Listener, Situation


def around(listener: Listener, situation: Situation | None) -> tuple[Listener, Echo | None]:
    """Whom the room has to tell what it hears, and the echo that comes of it."""
    if situation is None or situation.caller.echo_dbfs is None:
        return listener, None
    caller = situation.caller
    echo = Echo(level_dbfs=situation.caller.echo_dbfs, delay_ns=round(caller.echo_delay_s * 1e9))
    return Loudspeaker(listener, echo), echo


def microphone_of(
    between: Sequence[bytes],
    listener: Listener,
    echo: Echo | None,
    situation: Situation | None,
    *,
    ahead_ns: int = 0,
) -> Sends:
    """The microphone; `ahead_ns`: its frames are taken so long before they leave. Where there is noise between clips,
    each caller hears it from another place on."""
    first = 0 if situation is None or len(between) < 2 else situation.chance.randrange(len(between))
    microphone = Microphone(between, first=first)
    return microphone if echo is None else EchoingMicrophone(microphone, echo, listener, ahead_ns=ahead_ns)
