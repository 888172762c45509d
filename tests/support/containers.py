"""A Docker engine, where there is one: builds our images, runs compose projects of their own."""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.deployment import ROOT

BUILD_SECONDS = 1500


@functools.cache
def docker() -> str:
    """Return the path of docker, or skip the test with the reason why there is no engine."""
    found = shutil.which("docker")
    if found is None:
        pytest.skip("no docker on the PATH")
    asked = subprocess.run([found, "info"], capture_output=True, text=True, check=False)  # noqa: S603
    if asked.returncode:
        pytest.skip("no Docker engine answers `docker info`")
    return found


def told(*arguments: str, seconds: float = 60, environment: Mapping[str, str] | None = None) -> str:
    """Return what docker prints.

    Raises:
        AssertionError: it failed; holds what it said.
    """
    done = subprocess.run(  # noqa: S603
        [docker(), *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@functools.cache
def built(target: str) -> str:
    """Build the image of a `target` of the Dockerfile and return its name."""
    name = f"metammf-{target}"
    told("build", "--target", target, "--tag", name, ".", seconds=BUILD_SECONDS)
    return name


@contextmanager
def container(*arguments: str) -> Iterator[str]:
    """Run a container in the background, yield its id, and remove it with its volumes."""
    started = told("run", "--detach", *arguments).strip()
    try:
        yield started
    finally:
        told("rm", "--force", "--volumes", started)


def state(started: str) -> dict[str, Any]:
    """Return the state of a container, as `docker inspect` has it."""
    found: dict[str, Any] = json.loads(told("inspect", started))[0]["State"]
    return found


class Project:
    """A compose project: its name, and what its file is told by the environment."""

    def __init__(self, name: str, environment: Mapping[str, str]) -> None:
        self.name = name
        self._environment = environment

    def compose(self, *arguments: str, seconds: float = 300) -> str:
        """Return what `docker compose` prints."""
        command = ("compose", "--project-name", self.name, *arguments)
        return told(*command, seconds=seconds, environment=self._environment)

    def containers(self, service: str) -> list[str]:
        """Return the ids of the containers of a service that run."""
        return self.compose("ps", "--quiet", service).split()
