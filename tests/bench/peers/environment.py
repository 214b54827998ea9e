"""The peers' virtual environment, `.local/bench-venv`, with exactly what their lock names."""

from __future__ import annotations

import hashlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from deploy.local.progress import step
from deploy.local.setup import install
from deploy.local.state import local_folder, state_lock

LOCK = Path(__file__).with_name("requirements.txt")


def python_of_peers() -> Path:
    """Its Python; makes it when it is not there, or made from another lock or Python."""
    folder = local_folder() / "bench-venv"
    python, stamp = folder / "bin" / "python", folder / "sluice-lock"
    lock = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    wanted = f"{lock} {platform.python_version()} {sys.base_prefix} {folder}\n"
    with state_lock("bench-venv"):
        if not stamp.exists() or stamp.read_text() != wanted:
            with step("Making the peers' virtual environment"):
                shutil.rmtree(folder, ignore_errors=True)
                # Without pip: a bare machine has none to put into it.
                make = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
                subprocess.run(make, check=True)
                install(python, LOCK)
                stamp.write_text(wanted)
    return python
