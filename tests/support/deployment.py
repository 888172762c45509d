"""Reads what the deployment files and the documents say. Knows their formats; runs nothing."""

import json
import re
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[2]


class Stage(NamedTuple):
    """One stage of the Dockerfile: its base and its instructions as (name, rest) pairs."""

    name: str
    base: str
    instructions: list[tuple[str, str]]

    def last(self, instruction: str) -> str:
        """Return the last `instruction` of this stage itself."""
        return [rest for name, rest in self.instructions if name == instruction][-1]


def dockerfile_stages() -> dict[str, Stage]:
    """Return the stages of the Dockerfile by name, in order."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    stages: dict[str, Stage] = {}
    current: Stage | None = None
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        name, _, rest = line.strip().partition(" ")
        if name == "FROM":
            base, _, alias = rest.partition(" AS ")
            current = stages[alias] = Stage(alias, base, [])
        elif name and current is not None:
            current.instructions.append((name, rest.strip()))
    return stages


def lineage(name: str) -> list[Stage]:
    """Return the stage `name` and those it builds on, itself first."""
    stages = dockerfile_stages()
    found = [stages[name]]
    while found[-1].base in stages:
        found.append(stages[found[-1].base])
    return found


def image_environment(name: str) -> dict[str, str]:
    """Return the environment that the image of stage `name` sets."""
    pairs: dict[str, str] = {}
    for stage in reversed(lineage(name)):
        for instruction, rest in stage.instructions:
            if instruction == "ENV":
                pairs.update(word.split("=", 1) for word in shlex.split(rest))  # type: ignore[misc] # str pairs
    return pairs


def healthcheck_command() -> list[str]:
    """Return the command of the server's HEALTHCHECK."""
    text = dockerfile_stages()["server"].last("HEALTHCHECK")
    command: list[str] = json.loads(text[text.index("[") :])
    return command


def compose() -> dict[str, Any]:
    """Return docker-compose.yml, merge keys resolved."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return loaded


def table_rows(document: str) -> list[list[str]]:
    """Return the cells of every table row of a Markdown file of docs/, backticks kept."""
    lines = (ROOT / "docs" / document).read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in rows]


def named_rows(document: str) -> dict[str, list[str]]:
    """Return the rows whose first cell is `code`, by that code."""
    return {row[0].strip("`"): row[1:] for row in table_rows(document) if row[0].startswith("`")}
