"""The set-up: a virtual environment with exactly what the locks name. Standard library only.

`python3 -m deploy.local.setup` finds a Python from 3.11 to 3.14, makes `.venv`, puts uv into it
and lets uv install the lock, each file checked by its hash. When nothing has changed since the last
time it returns at once.
"""

# Any python3 must be able to read this file, to be told that it is too old: no newer syntax here.
from __future__ import annotations

import hashlib
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 14)

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "sluice-lock"
LOCKS = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")


def main() -> int:
    """Bring `.venv` up to date; 1 with a line that says what to do when that cannot be."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return _run_with_another_python()
    if STAMP.exists() and PYTHON.exists() and STAMP.read_text() == _wanted():
        return 0
    # Only now: these need a Python of our range.
    from deploy.local.children import ChildDied, raise_on_signals
    from deploy.local.progress import say, step
    from deploy.local.state import SetupError, state_lock

    raise_on_signals()
    try:
        with state_lock("setup"):
            say(f"Setting up {VENV} with Python {platform.python_version()}")
            STAMP.unlink(missing_ok=True)
            _make_venv()
            with step("Installing the locked packages") as note:
                _install()
                note.detail = _installed()
            STAMP.write_text(_wanted())
    except KeyboardInterrupt:
        say("Interrupted; run the same command again to go on.")
        return 130
    except (SetupError, ChildDied, subprocess.CalledProcessError, OSError) as error:
        say(str(error))
        return 1
    return 0


def _run_with_another_python() -> int:
    """Go on with a newer Python of the PATH, if there is one."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        # A version manager's stand-in may be there without the version behind it.
        if found and subprocess.call([found, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            return subprocess.call([found, "-m", "deploy.local.setup"], cwd=str(ROOT))
    sys.stderr.write(
        f"Sluice needs Python 3.11 to 3.14, and python3 is {platform.python_version()}.\n"
        "Install one (Debian 12 and 13 and Ubuntu 24.04 bring it: apt-get install python3"
        " python3-venv), or put a python3.11 to python3.14 on the PATH.\n"
    )
    return 1


def _wanted() -> str:
    """What the environment was or is to be made of: the locks, this Python, this very place."""
    digest = hashlib.sha256()
    for lock in LOCKS:
        digest.update(lock.read_bytes())
    return f"{digest.hexdigest()} {sys.version.split()[0]} {sys.base_prefix} {ROOT}\n"


def _make_venv() -> None:
    """Make the environment, or keep it when it is of this Python and at this place."""
    from deploy.local.progress import step
    from deploy.local.state import SetupError

    if _is_ours():
        return
    if not importlib.util.find_spec("venv"):
        raise SetupError("Python's venv is missing. Do: apt-get install python3-venv")
    with step("Making the virtual environment"):
        if VENV.exists():
            shutil.rmtree(VENV)
        # Debian's python3 without python3-venv has venv, but not the pip that goes into one.
        pip = [] if importlib.util.find_spec("ensurepip") else ["--without-pip"]
        subprocess.run([sys.executable, "-m", "venv", *pip, str(VENV)], check=True)


def _is_ours() -> bool:
    """Whether the environment runs this very Python, at this place, and can install packages."""
    shown = "import sys; print(sys.version.split()[0], sys.prefix)"
    try:
        found = subprocess.run(
            [str(PYTHON), "-c", shown], capture_output=True, check=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return False
    if found != f"{sys.version.split()[0]} {VENV}":
        return False
    return _has(PYTHON, "uv") or _has(PYTHON, "pip") or not importlib.util.find_spec("ensurepip")


def _has(python: Path, module: str) -> bool:
    shown = [str(python), "-c", f"import {module}"]
    return subprocess.call(shown, stderr=subprocess.DEVNULL, cwd="/") == 0


def _install() -> None:
    """Install the locks with uv, or, where uv cannot do it, with pip; both check every hash."""
    from deploy.local.progress import say

    if not _has(PYTHON, "uv") and not _install_uv():
        say("  uv does not work here: installing with pip, which takes longer")
    install(PYTHON, LOCKS[-1])


def install(python: Path, lock: Path) -> None:
    """Install what a lock names into the environment of that Python, by the same means."""
    from deploy.local.progress import say

    if _has(PYTHON, "uv"):
        sync = [str(PYTHON), "-m", "uv", "pip", "sync", "--quiet"]
        # No cache: nothing is left outside of the checkout.
        sync += ["--no-cache", "--require-hashes", str(lock)]
        if subprocess.call([*sync, "--python", str(python)], cwd=str(ROOT)) == 0:
            return
        # pip knows proxies, mirrors and certificates from its own configuration.
        say("  uv could not fetch them: trying with pip")
    _pip(["install", "--require-hashes", "--no-deps", "-r", lock], python)


def _install_uv() -> bool:
    """Install uv alone, by the hash that the lock has of it."""
    entries = re.split(r"\n(?=\S)", LOCKS[-1].read_text())
    only_uv = VENV / "uv-lock.txt"
    only_uv.write_text(next(entry for entry in entries if entry.startswith("uv==")) + "\n")
    try:
        _pip(["install", "--require-hashes", "--no-deps", "--only-binary", "uv", "-r", only_uv])
    except subprocess.CalledProcessError:
        return False
    return _has(PYTHON, "uv")


def _pip(arguments: Sequence[str | Path], python: Path = PYTHON) -> None:
    """Run pip for an environment: its own, the system's, or Debian's wheel of it."""
    if _has(python, "pip"):
        command = [str(python), "-m", "pip"]
    elif _has(Path(sys.executable), "pip"):
        command = [sys.executable, "-m", "pip", "--python", str(python)]
    else:
        command = [str(python), str(_pip_of_debian() / "pip")]
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*command, *map(str, arguments), *quiet], check=True, cwd=str(ROOT))


def _pip_of_debian() -> Path:
    """The wheel that python3-venv would have used, unpacked beside our other state."""
    from deploy.local.apt import PrivateApt
    from deploy.local.children import ChildDied, Run
    from deploy.local.state import SetupError, state_folder

    folder = state_folder() / "pip"
    pattern = "root/usr/share/python-wheels/pip-*.whl"
    if not any(folder.glob(pattern)):
        lacking = SetupError("Python's venv is incomplete. Do: apt-get install python3-venv")
        if not PrivateApt.is_possible():
            raise lacking
        try:
            with Run.begin() as run:
                apt = PrivateApt(run, folder)
                apt.update()
                apt.download("pip", ["python3-pip-whl"])
                apt.unpack(folder / "root")
        except ChildDied as error:
            raise lacking from error
    return next(folder.glob(pattern))


def _installed() -> str:
    """How much is in the environment now."""
    from deploy.local.progress import megabytes

    files = [file for file in VENV.rglob("*") if file.is_file() and not file.is_symlink()]
    packages = sum(1 for _ in VENV.glob("lib/python3*/site-packages/*.dist-info"))
    return f"{packages} packages, {megabytes(sum(file.stat().st_size for file in files))}"


if __name__ == "__main__":
    sys.exit(main())
