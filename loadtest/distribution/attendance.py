"""A worker's command while the load processes of its host run: it hears, pings, watches and ships, until all journals
are home or the master is gone."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loadtest import journal
from loadtest.criteria.words import plural
from loadtest.distribution.channel import Channel
from loadtest.distribution.offset import Offset
from loadtest.distribution.shipping import Shipper
from loadtest.errors.exceptions import GeneratorError
from loadtest.errors.exit_codes import Exit
from loadtest.events.kinds import RemainsChanged
from loadtest.leftovers.finding import Leftovers, leftovers
from loadtest.processes.ctrl_c import Interruption
from loadtest.system import clock
from loadtest.text.outlets import line

PING_S: Final = 1.0
QUICK_PING_S: Final = 0.05
QUICK_NS: Final = 2_000_000_000
"""At first, until the clocks are compared."""
GONE_AFTER: Final = 6
"""Pings in a row without an answer: the master is gone. Counted, not timed: a host that slept has not missed any."""
STUCK_NS: Final = 60_000_000_000
"""All is written, and the master took nothing for so long: it never will."""
END_LIMIT_NS: Final = 180_000_000_000
"""For load processes to delete and end; their engines bound themselves to a minute."""
EXIT_LIMIT_S: Final = 10.0


class Attendance:
    """From the start of the load processes to the master's last word: hear, ping, watch, ship."""

    def __init__(
        self,
        channel: Channel,
        run_dir: Path,
        locusts: Mapping[int, subprocess.Popen[bytes]],
        interruption: Interruption,
    ) -> None:
        self._channel, self._run_dir = channel, run_dir
        self._locusts, self._interruption = locusts, interruption
        self._shipper = Shipper(run_dir, channel.say)
        self._offset = Offset()
        self._quick_until_ns = clock.now_ns() + QUICK_NS
        self._next_ping_ns = 0
        self._unanswered = 0
        self._ended_ns: int | None = None
        self._begun = self._said_bye = self._home = False
        self.has_left = False
        """Whether its place was given back: the run hadn't begun, and nothing of it is here."""
        self._over: str | None = None
        self._written_ns: int | None = None

    def run(self) -> Exit:
        """Raises GeneratorError where the run did not end as it should; it says where the journals are."""
        while not self._finished():
            self._hear()
            self._ping()
            self._watch()
            self._ship()
        self._terminate()
        return self._verdict()

    def _terminate(self) -> None:
        for locust in self._locusts.values():
            locust.terminate()
        for locust in self._locusts.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                locust.wait(EXIT_LIMIT_S)

    def _hear(self) -> None:
        message = self._channel.hear(QUICK_PING_S)
        while message is not None:
            match message["op"]:
                case "pong":
                    self._unanswered, self._begun = 0, message["begun"]
                    self._offset.answered(
                        sent_ns=message["sent_ns"], master_ns=message["master_ns"], heard_ns=clock.now_ns()
                    )
                case "ack":
                    self._shipper.acknowledged(
                        message["name"], message["size"], clock.now_ns(), closed=message["closed"]
                    )
                case "noted":
                    self._home = not message["missing"]
                case "left":
                    self.has_left = True
                case "over":
                    self._over = str(message["reason"])
            message = self._channel.hear(0)

    def _ping(self) -> None:
        now_ns = clock.now_ns()
        if now_ns < self._next_ping_ns:
            return
        quick = self._offset.sampling and now_ns < self._quick_until_ns
        self._next_ping_ns = now_ns + int((QUICK_PING_S if quick else PING_S) * 1e9)
        self._unanswered += not quick
        told = self._offset.tell(now_ns)
        self._channel.say(
            "ping", sent_ns=clock.now_ns(), host=socket.gethostname(), boot_id=clock.boot_id(), clock=told
        )

    @property
    def _master_gone(self) -> bool:
        return self._unanswered > GONE_AFTER

    def _watch(self) -> None:
        """End the load processes where there is a reason to, and in the end those that don't."""
        if self._ended_ns is not None:
            if clock.now_ns() - self._ended_ns > END_LIMIT_NS:
                for locust in self._locusts.values():
                    locust.kill()
        elif self._interruption.count or self._master_gone or self._over is not None:
            self._ended_ns = clock.now_ns()
            for locust in self._locusts.values():
                if locust.stdin is not None:
                    with contextlib.suppress(OSError):
                        locust.stdin.write(b"interrupted\n" if self._interruption.count else b"orphaned\n")
                    with contextlib.suppress(OSError):
                        locust.stdin.close()

    def _ship(self) -> None:
        written = self._is_written()
        if written and self._written_ns is None:
            self._written_ns = clock.now_ns()
        if not self._begun:
            if written and self._bye_due():
                self._leave()
            return
        self._shipper.step(clock.now_ns(), written=written)
        if written and not self._home and not self._shipper.missing() and self._bye_due():
            self._channel.say("bye", files=self._shipper.files())

    def _leave(self) -> None:
        """Another one may have our place, once Locust's master doesn't count our load processes any more. What they
        wrote is no part of the run. A master that has just begun with us doesn't answer: its pong says so."""
        self._terminate()
        self._channel.say("leave", reason="" if self._interruption.count else self._why_ended())

    def _why_ended(self) -> str:
        numbers = ", ".join(map(str, self._locusts))
        return f"load process {numbers} ended before the run began"

    def _bye_due(self) -> bool:
        """At once, then with each ping."""
        due = not self._said_bye or self._next_ping_ns - clock.now_ns() < QUICK_PING_S * 1e9
        self._said_bye = True
        return due

    def _is_written(self) -> bool:
        """Whether nothing of this host's processes grows any more: their engines may delete for longer than they
        live."""
        ended = all(self._has_last_word(n) or locust.poll() is not None for n, locust in self._locusts.items())
        return ended and journal.wait_until_closed(self._run_dir, timeout_s=0)

    def _has_last_word(self, number: int) -> bool:
        return any(map(journal.has_last_word, journal.paths(self._run_dir, "worker", number)))

    def _finished(self) -> bool:
        if self._written_ns is None:
            return False
        if self._master_gone or self.has_left or self._over is not None:
            return True
        if self._home:
            return self._ended_ns is not None or all(locust.poll() is not None for locust in self._locusts.values())
        return clock.now_ns() - max(self._written_ns, self._shipper.heard_ns) > STUCK_NS

    def _left(self) -> Leftovers:
        """By the journals of this host."""
        return leftovers(journal.words(self._run_dir, RemainsChanged))

    def _verdict(self) -> Exit:
        fallen = [number for number in self._locusts if not self._has_last_word(number)]
        problems = [f"load process {number} died; see {self._run_dir}/locust-{number}.log" for number in fallen]
        if self._over not in (None, "completed", "interrupted", "aborted"):
            problems.append(f"the master ended the run: {self._over}")
        elif self._master_gone and not self._home:
            problems.append("the master is gone")
        elif self.has_left and not fallen and not self._interruption.count:
            problems.append(f"{self._why_ended()}; see {self._run_dir}")
        if self._begun and (missing := self._shipper.missing()):
            problems.append(
                f"{plural(sum(missing.values()), 'byte')} of {plural(len(missing), 'journal')} never came home: they"
                f" are in {self._run_dir}/journal; copy them into the master's run directory and report again"
            )
        if problems:
            left = self._left()
            if left.leaked:
                problems.append(f"{plural(len(left.leaked))} left behind: `avaload sweep {self._run_dir}` deletes them")
                print(f"avaload: {line('; '.join(problems))}", file=sys.stderr)
                return Exit.LEFT_BEHIND
            raise GeneratorError("; ".join([*problems, f"nothing is left but {len(left.doubtful)} doubtful sessions"]))
        at_home = f"all journals are at the master; copies are in {self._run_dir}"
        print(line(at_home if self._begun else "the run had not begun: nothing was started"), flush=True)
        return Exit.INTERRUPTED if self._interruption.count else Exit.PASS
