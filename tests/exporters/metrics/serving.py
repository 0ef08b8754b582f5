"""A process that serves finished sessions' metrics until its stdin closes:
`python -m tests.exporters.metrics.serving FD [CERTIFICATE KEY USER PASSWORD]`.

As in a load process: monkey-patched, on a listener that somebody else has bound.
"""

from gevent import monkey

monkey.patch_all()

import socket  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from gevent.fileobject import FileObjectThread  # noqa: E402

from exporters.metrics.aggregate import Aggregate  # noqa: E402
from exporters.metrics.prometheus import serve  # noqa: E402
from exporters.metrics.snapshot import merged  # noqa: E402
from loadtest.config.access.scrapers import tls  # noqa: E402
from tests.exporters.traces.script import run_started, session  # noqa: E402


def main() -> None:
    workers = [Aggregate(["support"]), Aggregate(["support"])]
    for worker, aggregate in enumerate(workers):
        aggregate.add(run_started(process=worker))
        for number in range(1, 8):
            for event in session(number, turn_fails=number == 7):
                aggregate.add(event)
    context, user = None, None
    if len(sys.argv) > 2:
        certificate, key, name, password = sys.argv[2:]
        context, user = tls(Path(certificate), Path(key)), (name, password)
    server = serve(
        socket.socket(fileno=int(sys.argv[1])),
        lambda: merged([aggregate.snapshot() for aggregate in workers]),
        tls=context,
        login=user,
    )
    FileObjectThread(sys.stdin.buffer).read()
    server.stop()
    print(server.scrapes, server.linger_s())


if __name__ == "__main__":
    main()
