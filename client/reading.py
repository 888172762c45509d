"""Makes typed replies of JSON. Knows dataclasses; passes over what they do not name."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from client.errors import UnexpectedAnswer

T = TypeVar("T")


def read(kind: type[T], value: Any) -> T:
    """Return the `kind` of reply that the JSON `value` is.

    Raises:
        UnexpectedAnswer: it is none.
    """
    try:
        made: T = _made(kind, value)
    except (TypeError, KeyError, AttributeError) as error:
        raise UnexpectedAnswer(f"expected a {kind.__name__}: {error}") from error
    return made


def _made(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        if not isinstance(value, Mapping):
            raise TypeError(f"got {type(value).__name__}")
        hints = _hints(kind)
        return kind(**{n: _made(hints[n], value[n]) for n in hints if n in value})
    if get_origin(kind) is tuple:
        return tuple(_made(get_args(kind)[0], one) for one in value)
    if get_origin(kind) in (Union, types.UnionType):
        (inner,) = (one for one in get_args(kind) if one is not type(None))
        return None if value is None else _made(inner, value)
    return value


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
