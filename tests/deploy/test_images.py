"""The Dockerfile and the program agree: settings, ports, probes, users."""

import json
import tomllib

import pytest

from service.app import create_app
from service.settings import Settings
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


def test_torch_is_installed_by_the_pin() -> None:
    pins = (ROOT / "constraints.txt").read_text("utf-8")
    assert "torch==" in pins
    runs = [rest for name, rest in dockerfile_stages()["build"].instructions if name == "RUN"]
    installs = [run for run in runs if "pip install" in run]
    assert len(installs) == 2
    assert all("-c constraints.txt" in run for run in installs)


@pytest.mark.parametrize("extras", ["cpu", "gpu"])
def test_the_extras_that_can_be_chosen_exist(extras: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert extras in project["optional-dependencies"]
    assert ("ARG", "EXTRAS=cpu") in dockerfile_stages()["build"].instructions
