"""Finds the implementations of a protocol, so that a contract suite can skip none of them."""

import importlib
import inspect
import pkgutil

import eventlog
import service


def implementations(protocol: type) -> set[type]:
    """Return every class of service or event log that has all methods of `protocol`, alike."""
    found = set()
    for package in (eventlog, service):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__"):
                continue
            members = inspect.getmembers(importlib.import_module(module.name), inspect.isclass)
            for _, kind in members:
                if kind is not protocol and _methods(protocol).items() <= _methods(kind).items():
                    found.add(kind)
    return found


def _methods(kind: type) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(inspect.signature(method).parameters)
        for name, method in vars(kind).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
