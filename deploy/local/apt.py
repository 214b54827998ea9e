"""Debian packages without root and without a trace on the system.

apt-get's lists and caches lie in a folder of ours; packages are unpacked there, never installed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from deploy.local.children import Run
from deploy.local.progress import megabytes, step

_OF_THE_CALLER = ("HOME", "http_proxy", "https_proxy", "no_proxy", "APT_CONFIG")


class PrivateApt:
    """apt-get working in `folder`; every failure is a ChildDied with what apt-get said."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run = run
        self.folder = folder
        self.debs = folder / "debs"
        for part in (folder / "lists/partial", folder / "cache/archives/partial", self.debs):
            part.mkdir(parents=True, exist_ok=True)

    @staticmethod
    def is_possible() -> bool:
        """Whether this is a Debian or a child of it."""
        return all(shutil.which(program) for program in ("apt-get", "apt-cache", "dpkg-deb"))

    def update(self) -> None:
        """Fetch the package lists."""
        with step("Fetching Debian's package lists (apt-get update)") as note:
            self.ask("apt-get", "update")
            note.detail = megabytes(size_of(self.folder / "lists"))

    def ask(self, *command: str, cwd: Path = Path("/")) -> str:
        """Run one of apt's programs to its end and return what it said."""
        settings = {
            "Dir::State::lists": f"{self.folder}/lists",
            "Dir::Cache": f"{self.folder}/cache",
            "Debug::NoLocking": "1",
            "APT::Sandbox::User": "",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "20",
            "Acquire::https::Timeout": "20",
        }
        options = [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]
        env = {key: os.environ[key] for key in _OF_THE_CALLER if key in os.environ}
        log = self.run.folder / "apt.log"
        log.unlink(missing_ok=True)
        self.run.call(
            " ".join(command[:2]),
            [command[0], "-q", *options, *command[1:]],
            env=env | {"PATH": f"{os.defpath}:/usr/sbin:/sbin", "LC_ALL": "C"},
            cwd=cwd,
            log=log,
            timeout_s=900,
        )
        return log.read_text(errors="replace")

    def download(self, what: str, packages: Iterable[str]) -> None:
        """Fetch the packages' files."""
        names = sorted(packages)
        with step(f"Downloading {what} (apt-get download)") as note:
            self.ask("apt-get", "download", *names, cwd=self.debs)
            note.detail = f"{len(names)} packages, {megabytes(size_of(self.debs))}"

    def unpack(self, root: Path) -> None:
        """Unpack what was downloaded below `root` and remove the downloads."""
        for deb in sorted(self.debs.glob("*.deb")):
            self.run.call(
                "dpkg-deb",
                ["dpkg-deb", "--extract", deb, root],
                env={"PATH": os.defpath},
                log=self.run.folder / "unpack.log",
            )
        for part in ("lists", "cache", "debs"):
            shutil.rmtree(self.folder / part)


def size_of(folder: Path) -> int:
    """The bytes of all files below the folder."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())
