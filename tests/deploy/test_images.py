"""The Dockerfile and the program agree: settings, ports, probes, users."""

import json
import os
import re
import sys
from pathlib import Path

import pytest

from service.app import create_app
from service.settings import Settings
from tests.support.commands import run
from tests.support.deployment import (
    ROOT,
    dockerfile_stages,
    healthcheck_command,
    image_environment,
    lineage,
)

PROGRAMS = {"trainer": "training", "server": "service"}


def routes() -> set[str]:
    return set(create_app(Settings()).openapi()["paths"])


def test_a_plain_build_gives_the_server() -> None:
    assert list(dockerfile_stages())[-1] == "server"
    assert "trainer" in dockerfile_stages()


def test_every_reco_key_of_the_image_is_a_setting() -> None:
    keys = {key for key in image_environment("server") if key.startswith("RECO_")}
    assert keys
    assert {key.removeprefix("RECO_").lower() for key in keys} <= set(Settings.model_fields)


def test_the_image_s_settings_are_valid() -> None:
    values = image_environment("server")
    reco = {k.removeprefix("RECO_").lower(): v for k, v in values.items() if k.startswith("RECO_")}
    settings = Settings.model_validate(reco)
    assert settings.host == "0.0.0.0"  # noqa: S104 - inside a container the published port decides
    assert str(settings.port) == dockerfile_stages()["server"].last("EXPOSE")


def test_the_health_check_asks_a_route_of_the_application_by_python_alone() -> None:
    command = healthcheck_command()
    assert command[:2] == ["python", "-c"]
    assert "'/readyz'" in command[2]
    assert "/readyz" in routes()
    compile(command[2], "HEALTHCHECK", "exec")


@pytest.mark.parametrize(("stage", "module"), PROGRAMS.items())
def test_the_entrypoint_is_the_program_in_exec_form(stage: str, module: str) -> None:
    entrypoint = json.loads(dockerfile_stages()[stage].last("ENTRYPOINT"))
    assert entrypoint == ["python", "-m", module]
    assert (ROOT / module / "__main__.py").is_file()


@pytest.mark.parametrize("stage", PROGRAMS)
def test_an_image_runs_as_a_numbered_user_that_is_not_root(stage: str) -> None:
    users = [rest for s in lineage(stage) for name, rest in s.instructions if name == "USER"]
    assert users[0].split(":")[0].isdigit()
    assert users[0].split(":")[0] != "0"


@pytest.mark.parametrize("stage", dockerfile_stages())
def test_all_that_is_copied_is_in_the_repository_and_reaches_the_engine(stage: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for name, rest in dockerfile_stages()[stage].instructions:
        if name == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists()
                assert f"!{source}" in ignored


@pytest.mark.parametrize("stage", dockerfile_stages())
def test_copies_come_from_stages_that_exist(stage: str) -> None:
    for name, rest in dockerfile_stages()[stage].instructions:
        if name == "COPY" and rest.startswith("--from="):
            assert rest.split()[0].removeprefix("--from=") in dockerfile_stages()


@pytest.mark.parametrize("stage", PROGRAMS)
def test_torch_comes_first_and_by_the_pin_and_what_is_ours_last(stage: str) -> None:
    assert "torch==" in (ROOT / "constraints.txt").read_text("utf-8")
    layers = [layer for found in reversed(lineage(stage)) for layer in found.instructions]
    installs = [place for place, (_, rest) in enumerate(layers) if rest.startswith("pip install")]
    assert "torch" in layers[installs[0]][1]
    assert all("-c constraints.txt" in layers[place][1] for place in installs)
    copied = {rest.split()[0]: place for place, (name, rest) in enumerate(layers) if name == "COPY"}
    assert copied[PROGRAMS[stage]] > installs[-1]
    assert copied["models"] > installs[-1]
    assert ({*PROGRAMS.values()} - {PROGRAMS[stage]}).isdisjoint(copied)


@pytest.mark.parametrize(("extras", "faiss"), [("cpu", "faiss-cpu"), ("gpu", "faiss-gpu")])
def test_what_is_wanted_is_what_the_project_says(tmp_path: Path, extras: str, faiss: str) -> None:
    (script,) = [rest for name, rest in dockerfile_stages()["wanted"].instructions if name == "RUN"]
    script = script.replace("/pyproject.toml", str(ROOT / "pyproject.toml"))
    script = re.sub(r"'/(\w+\.txt)'", rf"'{tmp_path}/\1'", script)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    made = run(["sh", "-euc", script], cwd=tmp_path, env={"PATH": path, "EXTRAS": extras})
    assert made.returncode == 0, made.stderr
    both, trainer = ((tmp_path / f"{n}.txt").read_text("utf-8") for n in ("both", "trainer"))
    assert "fastapi" in both
    assert faiss in both
    assert "pyarrow" in trainer
    assert "pyarrow" not in both
