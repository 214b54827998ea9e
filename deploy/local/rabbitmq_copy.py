"""A private copy of Debian's RabbitMQ and Erlang, for machines that have none installed."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from deploy.local.apt import PrivateApt, size_of
from deploy.local.children import ChildDied, Run
from deploy.local.progress import megabytes, step
from deploy.local.state import SetupError, state_folder, state_lock

_NEEDED = re.compile(r"^(erlang-[a-z0-9-]+|rabbitmq-server)$", re.MULTILINE)
_MISSING_LIBRARY = re.compile(r"^Inst (lib\S+) ", re.MULTILINE)
_STRONG_ONLY = [
    f"--no-{kind}"
    for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
]

WHAT_TO_DO = """\
There is no RabbitMQ here, and no private copy can be made ({why}).
Do one of these, then run the command again:

  * install it:             apt-get install rabbitmq-server     (macOS: brew install rabbitmq)
  * or run it in Docker:    docker run -d -p 127.0.0.1:5672:5672 rabbitmq:4
                            export SLUICE_AMQP_URL=amqp://guest:guest@127.0.0.1:5672/
  * or use one you have:    export SLUICE_AMQP_URL=amqp://user:password@host:5672/vhost

A PostgreSQL of your own is used in the same way, when you want that:
                            export SLUICE_DATABASE_URL=postgresql://user:password@host:5432/database"""


@dataclass(frozen=True)
class Copy:
    """The start script of an unpacked RabbitMQ, and the environment in which it runs."""

    script: Path
    environment: dict[str, str]


def private_copy(run: Run) -> Copy:
    """The checkout's copy, downloaded when it is not there; SetupError where that cannot be."""
    folder = state_folder() / "rabbitmq"
    with state_lock("rabbitmq"):
        if not (folder / "complete").exists():
            if not PrivateApt.is_possible():
                raise SetupError(WHAT_TO_DO.format(why="this machine has no apt-get"))
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o755)
            try:
                _download_and_unpack(PrivateApt(run, folder), folder)
            except ChildDied as error:
                raise SetupError(f"{error}\n\n{WHAT_TO_DO.format(why='see above')}") from error
            (folder / "complete").touch()
    return _describe(folder / "root")


def _download_and_unpack(apt: PrivateApt, folder: Path) -> None:
    apt.update()
    found = apt.ask("apt-cache", "depends", "--recurse", *_STRONG_ONLY, "rabbitmq-server")
    packages = set(_NEEDED.findall(found))
    if "rabbitmq-server" not in packages:
        raise SetupError(WHAT_TO_DO.format(why="apt-get knows no package rabbitmq-server"))
    # Installing, as apt-get would simulate it, tells which shared libraries the machine lacks.
    simulated = apt.ask(
        "apt-get", "--simulate", "--no-install-recommends", "install", "rabbitmq-server"
    )
    packages |= set(_MISSING_LIBRARY.findall(simulated))
    apt.download("RabbitMQ and Erlang", packages)
    root = folder / "root"
    with step("Unpacking a private copy of RabbitMQ") as note:
        apt.unpack(root)
        erlang = root / "usr/lib/erlang"
        start = erlang / "bin/erl"
        script = start.read_text()
        start.write_text(script.replace("ROOTDIR=/usr/lib/erlang", f"ROOTDIR={erlang}"))
        note.detail = f"{megabytes(size_of(root))} in {folder}"


def _describe(root: Path) -> Copy:
    scripts = sorted(root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))
    if not scripts:
        raise SetupError(f"{root} is incomplete; remove it and run the command again.")
    folders = [scripts[-1].parent, root / "usr/lib/erlang/bin", root / "usr/bin"]
    environment = {"PATH": ":".join([*map(str, folders), os.defpath]), "LC_ALL": "C.UTF-8"}
    libraries = [
        str(path) for path in (*root.glob("usr/lib/*-linux-gnu*"), *root.glob("lib/*-linux-gnu*"))
    ]
    if libraries:
        environment["LD_LIBRARY_PATH"] = ":".join(libraries)
    return Copy(scripts[-1], environment)
