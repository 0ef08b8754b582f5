"""Which engine a session gets (docs/contract.md#creating-a-session)."""

from collections.abc import Callable

from loadtest.twin.avaturn_side import bodies
from loadtest.twin.avaturn_side.engines.cartesia import Cartesia
from loadtest.twin.avaturn_side.engines.engine import Engine, Stage
from loadtest.twin.avaturn_side.engines.external import External
from loadtest.twin.avaturn_side.engines.text_echo import TextEcho
from loadtest.twin.avaturn_side.engines.upstream import Upstream
from loadtest.twin.parts import Make
from loadtest.twin.sockets.event_socket import Dial


def engine_for(
    wanted: bodies.Engine | None, *, stage: Stage, dial: Dial, on_count: Callable[[bool], None], make: Make
) -> Engine:
    """A fresh engine. `on_count` is told of its connection (True: open, False: gone). None: text-echo, as once."""
    match wanted:
        case bodies.OpenAIRealtime(client_secret=secret):
            return make(Upstream)(stage, dial=dial, client_secret=secret, on_count=on_count)
        case bodies.External(url=url, headers=headers, audio=audio):
            rate_hz = (audio or bodies.ExternalAudio()).user.sample_rate
            return External(stage, url=url, headers=headers or {}, sample_rate_hz=rate_hz, on_count=on_count)
        case bodies.Cartesia():
            return Cartesia(stage)
        case bodies.TextEcho(tts=tts):
            return TextEcho(stage, voice=tts.name)
    return TextEcho(stage, voice="")
