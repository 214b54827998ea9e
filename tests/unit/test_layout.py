"""House rules a program can hold: sizes, names, who may make a pool, what a clone tells."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = ("shared", "services", "deploy", "tests")

LINES_A_FILE = 400
LINES_A_FUNCTION = 70

NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "managers", "common", "misc"}

# Put together from halves, so that this file does not hold what it looks for.
HOSTS_OF_REGISTRIES = re.compile(
    "|".join(
        re.escape(left + right)
        for left, right in (
            ("pypi.", "org"),
            ("pythonhosted.", "org"),
            ("npmjs.", "org"),
            ("npmjs.", "com"),
            ("debian.", "org/debian"),
            ("archive.", "ubuntu"),
            ("proxy.", "golang"),
        )
    )
)
PATHS_OF_A_MACHINE = re.compile(r"(?<![\w.-])/(?:work|root|home/\w+|Users/\w+|tmp)/(?=\w)")


def _tracked() -> list[Path]:
    """The files that a clone holds; those that are there, where no git is (a release's archive)."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        return [path for top in CODE for path in (ROOT / top).rglob("*") if path.is_file()]
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


TRACKED = _tracked()
PYTHON = [path for path in TRACKED if path.suffix == ".py" and "__pycache__" not in path.parts]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", PYTHON, ids=_name)
def test_a_file_fits_in_one_head(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    assert lines <= LINES_A_FILE
    long = {
        node.name: size
        for node in _functions(ast.parse(text))
        if (size := (node.end_lineno or node.lineno) - node.lineno + 1) > LINES_A_FUNCTION
    }
    assert not long, f"functions of more than {LINES_A_FUNCTION} lines: {long}"


def test_modules_are_named_after_what_they_do() -> None:
    named = {path for path in PYTHON if {path.stem, *path.parts} & NAMES_THAT_SAY_NOTHING}
    assert not named


def test_only_the_database_module_makes_pools() -> None:
    makers = {
        _name(path)
        for path in PYTHON
        if path.parts[len(ROOT.parts)] in ("shared", "services")
        and re.search(r"\bcreate_pool\b|\basyncpg\.Pool\(", path.read_text(encoding="utf-8"))
    }
    assert makers <= {"shared/database.py"}


@pytest.mark.parametrize("path", TRACKED, ids=_name)
def test_a_file_names_no_registry_and_no_machine(path: Path) -> None:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    assert not HOSTS_OF_REGISTRIES.findall(text)
    assert not PATHS_OF_A_MACHINE.findall(text)


@pytest.mark.parametrize(
    "lock",
    ["requirements.txt", "requirements-dev.txt", "tests/bench/peers/requirements.txt"],
)
def test_a_lock_names_hashes_and_no_address(lock: str) -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text(encoding="utf-8").strip())
    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+", entry), f"not pinned: {entry}"
        assert "--hash=sha256:" in entry, f"no hash: {entry}"
        assert not re.search(r"://|--index|--find-links|--extra", entry), entry


def test_every_command_of_the_makefile_says_what_it_does() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.findall(r"^\.PHONY:(.*)$", makefile, re.MULTILINE)[0].split())
    documented = dict(re.findall(r"^([a-z-]+):.*?##\s*(\S.*)$", makefile, re.MULTILINE))
    commands = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert commands == phony == set(documented)
    assert {"demo", "test", "unit", "fmt", "up", "down", "setup", "contracts"} <= commands
