"""Finds the implementations of a protocol, so that a contract suite can skip none of them."""

import importlib
import inspect
import pkgutil

import service


def implementations(protocol: type) -> set[type]:
    """Return every class of `service` that has all methods of `protocol`, parameters alike."""
    found = set()
    for module in pkgutil.walk_packages(service.__path__, "service."):
        if module.name.endswith("__main__"):
            continue
        for _, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if kind is not protocol and _methods(protocol).items() <= _methods(kind).items():
                found.add(kind)
    return found


def _methods(kind: type) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(inspect.signature(method).parameters)
        for name, method in vars(kind).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }
