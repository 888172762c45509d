"""Importing our programs does nothing but define: no file, socket, process or thread is opened."""

import sys

import pytest

from tests.support.commands import run
from tests.support.source import ROOT

# Third parties are imported first: what they do is theirs. That Python reads source is no news, and
# /proc is no file (the process metrics read it).
WATCH = """
import importlib, sys, threading
for name in {third!r}:
    importlib.import_module(name)
loud = []
def watch(event, args):
    if event == "open":
        path = str(args[0])
        if not path.endswith((".py", ".pyc")) and not path.startswith("/proc/"):
            loud.append((event, path))
    elif event.startswith(("socket.", "sqlite3.", "subprocess.", "tempfile.", "shutil.")):
        loud.append((event, str(args)))
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.system", "os.fork"):
        loud.append((event, str(args)))
threading.Thread.start = lambda thread: loud.append(("thread", thread.name))
sys.addaudithook(watch)
{act}
print(loud)
"""
THIRD = [
    "faiss", "fastapi", "httpx", "immutables", "matplotlib.figure", "msgspec", "numpy",
    "prometheus_client", "pyarrow.parquet", "pyarrow.compute", "pydantic_settings", "rich.console",
    "rich.progress", "rich.table", "safetensors.torch", "safetensors.numpy", "structlog", "torch",
    "typer", "uvicorn",
]  # fmt: skip


def loud_after(act: str) -> str:
    code = WATCH.format(third=THIRD, act=act)
    done = run([sys.executable, "-B", "-c", code], cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("module", ["service.app", "service.__main__", "training.__main__"])
def test_an_import_opens_nothing(module: str) -> None:
    assert loud_after(f"import {module}") == "[]"


def test_an_application_opens_nothing_before_it_is_started() -> None:
    act = (
        "from service.app import create_app; from service.settings import Settings; "
        "create_app(Settings(bundles='/nowhere', event_log='sqlite:////nowhere/events.db'))"
    )
    assert loud_after(act) == "[]"


@pytest.mark.parametrize(
    ("act", "event"),
    [
        ("open('README.md').close()", "open"),
        ("threading.Thread(target=print).start()", "thread"),
        ("import sqlite3; sqlite3.connect(':memory:').close()", "sqlite3.connect"),
    ],
)
def test_the_watch_hears_what_is_opened(act: str, event: str) -> None:
    assert event in loud_after(act)
