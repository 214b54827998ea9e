"""Free ports of 127.0.0.1, and waiting for a server to listen on one."""

from __future__ import annotations

import random
import socket
import time
from collections import deque

from deploy.local.children import Child, ChildDied, Run

_LOWEST, _HIGHEST = 20_000, 32_000
"""Below the range that Linux takes outgoing connections' ports from (32768 and up): a port that is
free when we choose it stays free until the server binds it, other than by another run's choice."""

_given: deque[int] = deque(maxlen=1_000)
"""Chosen, and perhaps not bound yet: of a platform's ten, two would be the same one time in 250."""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, another one each time."""
    # The system's randomness: a seed that a test sets must not make two runs choose the same.
    for port in random.SystemRandom().sample(range(_LOWEST, _HIGHEST), 200):
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _given.append(port)
            return port
    raise OSError(f"no free port of 127.0.0.1 between {_LOWEST} and {_HIGHEST}")


def answers(port: int, hello: bytes, reply: bytes, timeout_s: float = 1) -> bool:
    """Whether a server on the port answers `hello` with something that begins with `reply`."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
            connection.settimeout(timeout_s)
            connection.sendall(hello)
            return connection.recv(len(reply)) == reply
    except OSError:
        return False


def wait_until_it_answers(
    run: Run, child: Child, port: int, hello: bytes, reply: bytes, within_s: float
) -> None:
    """Return when the child serves the port; stop it and raise ChildDied when it does not."""
    deadline = time.monotonic() + within_s
    while not answers(port, hello, reply):
        if not child.is_alive() or time.monotonic() > deadline:
            died = ChildDied(child)
            run.stop([child])
            raise died
        time.sleep(0.02)
