"""A private copy of Debian's RabbitMQ and Erlang: no root needed, nothing of the system changed.

The packages are downloaded with apt-get's lists and caches in the state folder and unpacked there,
once for each checkout.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local.children import ChildDied, Run
from deploy.local.progress import megabytes, step
from deploy.local.state import SetupError, state_folder, state_lock

_NEEDED = re.compile(r"^(erlang-[a-z0-9-]+|rabbitmq-server)$", re.MULTILINE)
_MISSING_LIBRARY = re.compile(r"^Inst (lib\S+) ", re.MULTILINE)
_ENVIRONMENT_FOR_APT = ("HOME", "http_proxy", "https_proxy", "no_proxy", "APT_CONFIG")
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
            _require_apt()
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o755)
            try:
                _download(run, folder)
                _unpack(run, folder)
            except (ChildDied, OSError) as error:
                raise SetupError(f"{error}\n\n{WHAT_TO_DO.format(why='see above')}") from error
            (folder / "complete").touch()
    return _describe(folder / "root")


def _require_apt() -> None:
    for program in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(program) is None:
            raise SetupError(WHAT_TO_DO.format(why=f"no {program} on this machine"))


def _download(run: Run, folder: Path) -> None:
    """Fetch the package lists and the packages into `folder/debs`."""
    debs = folder / "debs"
    for part in (folder / "lists/partial", folder / "cache/archives/partial", debs):
        part.mkdir(parents=True)
    with step("Fetching Debian's package lists (apt-get update)") as note:
        _apt(run, folder, ["apt-get", "update"])
        note.detail = megabytes(_size(folder / "lists"))
    tree = ["apt-cache", "depends", "--recurse", *_STRONG_ONLY, "rabbitmq-server"]
    packages = set(_NEEDED.findall(_apt(run, folder, tree)))
    if "rabbitmq-server" not in packages:
        raise SetupError(WHAT_TO_DO.format(why="apt-get knows no package rabbitmq-server"))
    # Installing, as apt-get would simulate it, tells which shared libraries the machine lacks.
    simulated = ["apt-get", "--simulate", "--no-install-recommends", "install", "rabbitmq-server"]
    packages |= set(_MISSING_LIBRARY.findall(_apt(run, folder, simulated)))
    with step("Downloading RabbitMQ and Erlang (apt-get download)") as note:
        _apt(run, folder, ["apt-get", "download", *sorted(packages)], cwd=debs)
        note.detail = f"{len(packages)} packages, {megabytes(_size(debs))}"


def _unpack(run: Run, folder: Path) -> None:
    root = folder / "root"
    with step("Unpacking a private copy of RabbitMQ") as note:
        for deb in sorted((folder / "debs").glob("*.deb")):
            run.call(
                "dpkg-deb",
                ["dpkg-deb", "--extract", deb, root],
                env={"PATH": os.defpath},
                log=run.folder / "unpack.log",
            )
        for part in ("lists", "cache", "debs"):
            shutil.rmtree(folder / part)
        erlang = root / "usr/lib/erlang"
        start = erlang / "bin/erl"
        script = start.read_text()
        start.write_text(script.replace("ROOTDIR=/usr/lib/erlang", f"ROOTDIR={erlang}"))
        note.detail = f"{megabytes(_size(root))} in {folder}"


def _apt(run: Run, folder: Path, command: Sequence[str], cwd: Path = Path("/")) -> str:
    """Run one of apt's programs on lists and caches of our own; return what it said."""
    settings = {
        "Dir::State::lists": f"{folder}/lists",
        "Dir::Cache": f"{folder}/cache",
        "Debug::NoLocking": "1",
        "APT::Sandbox::User": "",
        "Acquire::Retries": "2",
        "Acquire::http::Timeout": "20",
        "Acquire::https::Timeout": "20",
    }
    options = [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]
    env = {key: os.environ[key] for key in _ENVIRONMENT_FOR_APT if key in os.environ}
    log = run.folder / "apt.log"
    log.unlink(missing_ok=True)
    run.call(
        " ".join(command[:2]),
        [command[0], "-q", *options, *command[1:]],
        env=env | {"PATH": os.defpath + ":/usr/sbin:/sbin", "LC_ALL": "C"},
        cwd=cwd,
        log=log,
        timeout_s=900,
    )
    return log.read_text(errors="replace")


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


def _size(folder: Path) -> int:
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())
