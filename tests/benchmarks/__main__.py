"""`make bench`: all benchmarks, one after the other; 1 if a bar was missed."""

import sys

from tests.benchmarks import http_lifecycles, rooms_webrtc, rooms_websocket, truth


def main() -> int:
    missed = 0
    for benchmark in (http_lifecycles, truth, rooms_websocket, rooms_webrtc):
        print(f"== {benchmark.__name__.rsplit('.', 1)[-1]}", flush=True)
        missed += benchmark.main()
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
