"""The master's side of a run over several hosts: who may join, what they get, what comes home, who is missing.

Places are numbered from 0 to the expected number of load processes; a command takes as many as it has processes, until
the run begins. From then on nobody else joins: Locust would move users to a worker that comes late, which cuts their
sessions short. It is told so, and counted.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.config.environment import HIDDEN
from loadtest.config.settings import Settings
from loadtest.criteria.words import plural
from loadtest.distribution.channel import CorruptError, pack
from loadtest.distribution.parcel import Parcel, as_rows
from loadtest.distribution.port.keys import NAME
from loadtest.distribution.port.turned_away import REFUSALS, Refused
from loadtest.distribution.receiving import QuotaError, Receiver
from loadtest.events.kinds import ClockCompared, Event, Fault, GeneratorFailed, WorkerChanged, WorkerState
from loadtest.system import clock
from loadtest.system.version import __version__

UNSEEN_NS: Final = 10_000_000_000
"""A command that was silent for so long has lost its place before the run, and its journals after it."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Command:
    """A worker's command on some host."""

    host: str
    directory: str
    numbers: tuple[int, ...]
    heard_ns: int
    offset_ns: int | None = None
    """What to add to a stamp of its clock to get one of ours."""
    home: bool = False
    over_quota: bool = False


class Hosts:
    """All workers' commands. `send(node, message)` to one of them; `record` into the master's journal."""

    def __init__(
        self,
        settings: Settings,
        run_dir: Path,
        salt: str,
        *,
        send: Callable[[str, dict[str, Any]], None],
        record: Callable[[Event], None],
        now_ns: Callable[[], int] = clock.now_ns,
    ) -> None:
        self._settings, self._run_dir, self._salt = settings, run_dir, salt
        self._send, self._record, self._now_ns = send, record, now_ns
        self._quota_mib = settings.distribution.worker_disk_mib
        self._parcel, self._receiver = Parcel(settings), Receiver(run_dir, quota=self._quota_mib << 20)
        self._commands: dict[str, _Command] = {}
        self._refused: set[str] = set()
        self._begun = False
        self._over: str | None = None
        self._no_room: str | None = None
        self.why_left: str | None = None
        """What the last command said that gave its place back before the run, for people."""

    @property
    def joined(self) -> int:
        """Load processes that have a place."""
        return sum(len(command.numbers) for command in self._commands.values())

    def begin(self) -> None:
        """The run begins with those that are here."""
        self._begun = True

    def offset_of(self, number: int) -> int | None:
        """What to add to a stamp of that load process to get one of the master's, in ns; None: not compared yet."""
        return next((command.offset_ns for command in self._commands.values() if number in command.numbers), None)

    def hear(self, node: str, message: dict[str, Any]) -> None:
        """A message of a command. What makes no sense is counted and told, no more."""
        try:
            self._obey(node, message)
        except OSError as error:
            self._no_room = error.strerror
            _log.error("%s: what it sends can't be written: %s", node, error)
        except QuotaError as error:
            self._commands[node].over_quota = True
            REFUSALS.note(Refused.QUOTA, node, str(error))
        except (CorruptError, KeyError, TypeError, ValueError, OverflowError) as error:
            REFUSALS.note(Refused.SHAPE, node, f"{message.get('op')!r}: {error!r}")

    def look(self) -> None:
        """Free the locks of the files of those that are silent, so that nobody waits for them."""
        for node, command in self._commands.items():
            if not command.home and self._silent(command):
                self._receiver.give_up(node)

    def is_cut_off(self, number: int) -> bool:
        """Whether that load process may write on over there, in files whose locks are free here."""
        return any(
            not command.home and self._receiver.has_given_up(node)
            for node, command in self._commands.items()
            if number in command.numbers
        )

    def settled(self) -> bool:
        """Whether the journals of every command are home, or nothing more is to be expected of it."""
        return self._no_room is not None or all(
            command.home or command.over_quota or self._silent(command) for command in self._commands.values()
        )

    def close(self, reason: str) -> None:
        """Write down what is missing, and tell the commands that it is over. Idempotent."""
        if self._over is not None:
            return
        self._over = reason
        for node, command in self._commands.items():
            if not command.home and self._begun:
                why = self._why_missing(command)
                self._changed(node, command, WorkerState.LOST, detail=why)
                self._missing(command, why)
            self._send(node, {"op": "over", "reason": reason})
        self._receiver.close()

    def _obey(self, node: str, message: dict[str, Any]) -> None:
        command = self._commands.get(node)
        if command is not None:
            command.heard_ns = self._now_ns()
        match message["op"]:
            case "join":
                self._join(node, message)
            case "ping":
                self._answer(node, message)
            case "leave" if command is None or not self._begun:
                if command is not None:
                    self._withdraw(node, command, reason=_text(message.get("reason", ""))[:300])
                self._send(node, {"op": "left"})
            case _ if command is None:
                REFUSALS.note(Refused.STRANGER, node, f"{message['op']!r}: it has not joined")
            case "fetch":
                name, offset = str(message["name"]), _size(message["offset"])
                packed = pack(self._parcel.piece(name, offset))
                self._send(node, {"op": "piece", "name": name, "offset": offset, "packed": packed})
            case "chunk":
                name = str(message["name"])
                size = self._receiver.take(
                    node, name, offset=_size(message["offset"]), packed=message["packed"], crc=int(message["crc"])
                )
                self._send(node, {"op": "ack", "name": name, "size": size, "closed": False})
            case "closed":
                name, size = str(message["name"]), _size(message["size"])
                closed = self._receiver.finish(node, name, size=size)
                self._send(node, {"op": "ack", "name": name, "size": self._receiver.size(name), "closed": closed})
            case "bye":
                self._bye(node, command, {str(name): _size(size) for name, size in message["files"].items()})

    def _join(self, node: str, message: dict[str, Any]) -> None:
        processes, host = _size(message["processes"]), _name(message["host"])
        command = self._commands.get(node)
        if command is None:
            refusal = self._refusal(message, processes)
            if refusal is not None:
                if node not in self._refused:
                    self._refused.add(node)
                    refused = WorkerState.REFUSED
                    self._record(
                        WorkerChanged(t_ns=self._now_ns(), worker=node, host=host, state=refused, detail=refusal)
                    )
                self._send(node, {"op": "refused", "reason": refusal})
                return
            free = [number for number in range(self._settings.load.processes) if number not in set(self._taken())]
            command = self._commands[node] = _Command(
                host=host,
                directory=_text(message["directory"])[:300],
                numbers=tuple(free[:processes]),
                heard_ns=self._now_ns(),
            )
            self._changed(node, command, WorkerState.JOINED)
        self._send(
            node,
            {
                "op": "welcome",
                "run_id": self._run_dir.name,
                "numbers": list(command.numbers),
                "salt": self._salt,
                "hidden": os.environ.get(HIDDEN),
                "items": as_rows(self._parcel.items),
            },
        )

    def _refusal(self, message: dict[str, Any], processes: int) -> str | None:
        """Why this command can't join; None if it can."""
        if message["version"] != __version__:
            return f"the master is avaload {__version__}, this worker {_text(message['version'])[:20]}"
        if self._over is not None or self._begun:
            return "the run has begun without it"
        for node, command in list(self._commands.items()):
            if self._silent(command):
                self._withdraw(node, command)
        free = self._settings.load.processes - self.joined
        if not 0 < processes <= free:
            expected = self._settings.load.processes
            return f"it has {plural(processes, 'load process')}, the master expects {free} more of {expected}"
        return None

    def _withdraw(self, node: str, command: _Command, *, reason: str = "") -> None:
        """Its place is free again."""
        self._changed(node, command, WorkerState.WITHDRAWN, detail=reason)
        del self._commands[node]
        if reason:
            self.why_left = f"the worker on {command.host} left: {reason}"

    def _taken(self) -> Iterable[int]:
        return (number for command in self._commands.values() for number in command.numbers)

    def _answer(self, node: str, message: dict[str, Any]) -> None:
        read_ns = clock.now_ns()
        if (command := self._commands.get(node)) is not None:
            pong = {"op": "pong", "sent_ns": int(message["sent_ns"]), "master_ns": read_ns, "begun": self._begun}
            self._send(node, pong)
            if message["clock"] is not None:
                offset_ns, rtt_ns = map(int, message["clock"])
                compared = ClockCompared(
                    t_ns=read_ns,
                    host=_name(message["host"]),
                    boot_id=_name(message["boot_id"]),
                    offset_ns=offset_ns,
                    rtt_ns=_size(rtt_ns),
                )
                self._record(compared)
                # One boot of one host has one clock: that is exact, a comparison is not.
                ours = (compared.host, compared.boot_id) == (socket.gethostname(), clock.boot_id())
                command.offset_ns = 0 if ours else compared.offset_ns

    def _bye(self, node: str, command: _Command, files: dict[str, int]) -> None:
        """All is written and shipped, says the command; look whether it is."""
        behind = {name: size for name, size in files.items() if self._receiver.size(name) != size}
        self._send(node, {"op": "noted", "missing": sorted(behind)})
        if not behind and not command.home:
            command.home = True
            self._receiver.close(node)
            self._changed(node, command, WorkerState.HOME)

    def _silent(self, command: _Command) -> bool:
        return self._now_ns() - command.heard_ns > UNSEEN_NS

    def _changed(self, node: str, command: _Command, state: WorkerState, *, detail: str = "") -> None:
        changed = WorkerChanged(
            t_ns=self._now_ns(),
            worker=node,
            host=command.host,
            state=state,
            numbers=command.numbers,
            directory=command.directory,
            detail=detail,
        )
        self._record(changed)

    def _why_missing(self, command: _Command) -> str:
        if self._no_room is not None:
            return f"no room for it: {self._no_room}"
        if command.over_quota:
            return f"it ships more than the {self._quota_mib} MiB that one worker may (distribution.worker_disk_mib)"
        return "it fell silent"

    def _missing(self, command: _Command, why: str) -> None:
        detail = f"{why}; what it wrote is in {command.directory} on {command.host}"
        for number in command.numbers:
            self._record(
                GeneratorFailed(t_ns=self._now_ns(), fault=Fault.JOURNAL_MISSING, process=number, detail=detail)
            )


def _name(text: Any) -> str:
    """Of a host, or of its boot. Raises ValueError."""
    if not isinstance(text, str) or not NAME.fullmatch(text):
        raise ValueError("not a name: letters, digits, `.`, `_` and `-`")
    return text


def _text(text: Any) -> str:
    """What can be shown of it in one line."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(text)[:1000])


def _size(number: Any) -> int:
    """Raises ValueError for what can't be one."""
    if not isinstance(number, int) or number < 0:
        raise ValueError("not a size")
    return number
