"""Rules about our text: nothing that runs data, nothing of one machine, nothing big."""

import ast
import re
import shutil
from pathlib import Path

import pytest

from tests.support.commands import run
from tests.support.source import ROOMS, ROOT, dotted, imported_modules, parse, python_files

OURS = (*ROOMS, "tests", "benchmarks")
# Modules that run code from what they read.
BANNED_MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "cloudpickle",
    "dill",
    "joblib",
    "shelve",
    "marshal",
}
# One file opens pickles of published data sets with nothing to run; one writes some for its tests.
MAY_IMPORT_PICKLE = {"training/data/importers/restricted_pickle.py", "tests/support/pickles.py"}
BANNED_CALLS = {"torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "eval", "exec"}
LARGEST = 1 << 20
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|Users|work)(?:/|\b)")
# Hosts of packages and images: where those come from is for a machine's own settings to say.
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|download\.pytorch\.org|(?:^|[\s/\"'=])(?:docker|ghcr|quay|gcr)\.io"
    r"|registry\.(?:npmjs|yarnpkg|k8s|hub)|(?:conda\.)?anaconda\.(?:org|com)|deb\.debian\.org",
    re.MULTILINE,
)


def banned(tree: ast.AST) -> list[str]:
    """Return what `tree` does that runs code from data."""
    found = [name for name in imported_modules(tree) if name.partition(".")[0] in BANNED_MODULES]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found += [
                f"{node.module}.{alias.name}"
                for alias in node.names
                if f"{node.module}.{alias.name}" in BANNED_CALLS
            ]
        if isinstance(node, ast.Call):
            found += [dotted(node.func)] if dotted(node.func) in BANNED_CALLS else []
            found += [
                "allow_pickle"
                for keyword in node.keywords
                if keyword.arg == "allow_pickle"
                and getattr(keyword.value, "value", True) is not False
            ]
    return found


def tracked_files() -> list[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nothing says which files are tracked")
    listed = run([git, "ls-files", "-z"], cwd=ROOT)
    assert listed.returncode == 0, listed.stderr
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def tracked_texts() -> dict[str, str]:
    texts = {}
    for file in tracked_files():
        try:
            texts[str(file.relative_to(ROOT))] = file.read_text("utf-8")
        except UnicodeDecodeError:
            continue
    return texts


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from joblib import load",
        "import torch; torch.load('x')",
        "from torch import load",
        "import yaml; yaml.load(x)",
        "import numpy as np; np.load(x, allow_pickle=True)",
        "import numpy as np; np.load(x, allow_pickle=flag)",
    ],
)
def test_a_line_that_runs_data_is_found(line: str) -> None:
    assert banned(ast.parse(line))


def test_no_file_runs_code_from_data() -> None:
    found = {str(file.relative_to(ROOT)): banned(parse(file)) for file in python_files(*OURS)}
    told = {file: names for file, names in found.items() if names}
    assert told == {file: ["pickle"] for file in MAY_IMPORT_PICKLE}


@pytest.mark.parametrize("room", OURS)
def test_the_first_line_of_every_module_says_what_it_is(room: str) -> None:
    silent = []
    for file in python_files(room):
        text = file.read_text("utf-8")
        if ast.get_docstring(parse(file)) is None or not text.startswith('"""'):
            silent.append(str(file.relative_to(ROOT)))
    assert silent == []


def test_no_tracked_file_is_larger_than_a_mebibyte() -> None:
    assert [file for file in tracked_files() if file.stat().st_size > LARGEST] == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (MACHINE_PATH, "cd " + "/ho" + "me/ann/code"),
        (MACHINE_PATH, "--mount=type=cache,target=" + "/ro" + "ot/.cache"),
        (REGISTRY, "FROM " + "ghcr" + ".io/x/y"),
        (REGISTRY, "--index" + "-url https://" + "pypi" + ".org/simple"),
    ],
)
def test_a_machine_path_or_registry_host_is_found(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY], ids=["path", "registry"])
def test_no_tracked_file_names_a_machine_s_path_or_a_registry(pattern: re.Pattern[str]) -> None:
    found = {name: pattern.findall(text) for name, text in tracked_texts().items()}
    assert {name: hits for name, hits in found.items() if hits} == {}
