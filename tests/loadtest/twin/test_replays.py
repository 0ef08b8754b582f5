"""What a replay repeats of a recording that is not plain: recorded and compared with the same twin, nothing differs."""

from tests.loadtest.twin.proxied import Proxied, recorded, replayed
from tests.loadtest.twin.talking import Client

TEXT = {"output_modalities": ["text"]}


async def _asked(client: Client, **response: object) -> None:
    await client.send("response.create", response={**TEXT, **response})
    await client.until("response.done")


async def _in_a_room(to: Proxied) -> None:
    session = await to.talking()
    async with to.joined(session, microphone=False) as user:
        await user.until(lambda: any(each.get("first_frame") for each in user.messages))
        await to.sdk(session["token"], "/tasks", method="POST", body={"text": "Hello"})
        await user.message("avatar_ended_speaking")


def test_what_a_recorded_socket_decided_is_decided_there_alone() -> None:
    """Avaturn's own sessions decide for themselves, and two sockets do so beside each other."""

    async def cut(client: Client) -> None:
        await _asked(client, max_output_tokens=1)

    async def two(to: Proxied) -> None:
        async with to.realtime() as first, to.realtime() as second:
            for client in (first, second):
                await client.until("session.created")
            await cut(second)
            await _asked(first)

    lines = recorded(_in_a_room, two, knobs=["answer_s=0.4"])

    assert replayed(lines, "answer_s=0.4") == []
