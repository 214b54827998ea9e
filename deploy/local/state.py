"""Where a checkout keeps what it makes, and which runs of it are alive.

`.local/` in the checkout holds what people look at: logs, mail, addresses. The servers' programs
and data lie in the state folder, because two things rule the checkout out: servers started by root
run as `nobody`, who cannot look below a home of mode 0700, and Erlang's scripts do not survive a
path with a space in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / ".local"

_PLAIN = re.compile(r"[A-Za-z0-9_./+-]+")


class SetupError(Exception):
    """What a person has to do before this machine can run Sluice; the text is all they see."""


def local_folder() -> Path:
    """The checkout's own folder for logs, mail and addresses."""
    LOCAL.mkdir(exist_ok=True)
    return LOCAL


def state_folder() -> Path:
    """The folder for servers' programs and data: one for each checkout and user, mode 0711."""
    if os.geteuid() != 0 and _PLAIN.fullmatch(str(ROOT)):
        folder = local_folder() / "state"
    else:
        mark = hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:12]
        folder = Path("/var/tmp") / f"sluice-{os.geteuid()}-{mark}"
    folder.mkdir(mode=0o711, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        # /var/tmp is everybody's: somebody else may have taken the name before us.
        raise SetupError(f"{folder} is not a folder of yours; remove it or ask its owner to.")
    folder.chmod(0o711)
    return folder


@contextmanager
def state_lock(name: str) -> Iterator[None]:
    """Hold the checkout's lock of that name; the kernel lets go of it when a process dies."""
    path = state_folder() / f"{name}.lock"
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.stdout.write(f"{state_folder()}\n")
