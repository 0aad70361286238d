"""Changes of a recipe that come as text, such as from a command line."""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import TypeVar

_Row = TypeVar("_Row")

_BOOLEANS = {"true": True, "false": False}
_NAMES = {
    bool: "true or false",
    float: "a finite number",
    int: "an integer",
    str: "text",
    types.NoneType: "None",
}


def override(recipe: _Row, changes: Sequence[str]) -> _Row:
    """Returns a recipe with other values in some of its fields.

    Args:
        recipe: A frozen dataclass, as all recipes are.
        changes: Pieces of the form `field=value`; `field` may be that of a
            field, as in `augmentation.mixup=0`. Values are read as the type of
            the field: `true`, `2e-3`, `None`, `8,11` or text. A field of what
            is `None` so far begins from the defaults of its class.

    Returns:
        A new object of the same class.

    Raises:
        ValueError: If there is no such field, or a value does not fit it.

    Example:

    ```python
    from keras_twins.training import CLASSIFICATION_RECIPES
    from keras_twins.training import override

    recipe = CLASSIFICATION_RECIPES["imagenet/svt_small"]
    short = override(recipe, ["epochs=100", "augmentation.cutmix=0"])
    ```
    """
    wanted: dict[str, Any] = {}
    tree: dict[str, Any] = {}
    for change in changes:
        path, equals, text = change.partition("=")
        path = path.strip()
        if not equals:
            raise ValueError(
                "A change must have the form field=value, such as epochs=100. "
                f"Received: {change!r}"
            )
        wanted[path] = _read(path, text.strip(), _annotation(recipe, path))
        _insert(tree, path, wanted[path])
    changed = _replaced(recipe, tree)
    for path, value in wanted.items():
        _check_kept(changed, path, value)
    return changed


def _annotation(recipe: Any, path: str) -> Any:
    """Returns the type of a field, which may be a field of a field."""
    kind: Any = type(recipe)
    names = path.split(".")
    for depth, name in enumerate(names):
        row = _dataclass_of(kind) if depth else kind
        hints = typing.get_type_hints(row) if row else {}
        if name not in hints:
            raise ValueError(_unknown(recipe, path))
        kind = hints[name]
    return kind


def _dataclass_of(kind: Any) -> Any:
    """Returns the dataclass among the types that a field may have."""
    for option in typing.get_args(kind) or (kind,):
        if dataclasses.is_dataclass(option):
            return option
    return None


def _unknown(recipe: Any, path: str) -> str:
    known = list(_paths(type(recipe)))
    near = difflib.get_close_matches(path, known, n=3)
    # Those that end in the same name, wherever they are.
    last = path.rpartition(".")[2]
    near += [name for name in known if name.rpartition(".")[2] == last]
    hint = f"Did you mean {' or '.join(dict.fromkeys(near))}? " if near else ""
    return (
        f"{type(recipe).__name__} has no field `{path}`. {hint}Its fields are "
        f"{', '.join(name for name in known if '.' not in name)}."
    )


def _paths(row: Any, prefix: str = "") -> Iterator[str]:
    for name, kind in typing.get_type_hints(row).items():
        yield prefix + name
        inner = _dataclass_of(kind)
        if inner is not None:
            yield from _paths(inner, f"{prefix}{name}.")


def _insert(tree: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        inner = tree.setdefault(parent, {})
        if not isinstance(inner, dict):
            inner = tree[parent] = {}
        tree = inner
    tree[last] = value


def _replaced(row: Any, tree: dict[str, Any]) -> Any:
    values = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            value = _replaced(_current(row, name), value)
        values[name] = value
    return dataclasses.replace(row, **values)


def _current(row: Any, name: str) -> Any:
    """Returns a field that is a dataclass, or what it would be by default."""
    value = getattr(row, name)
    if dataclasses.is_dataclass(value):
        return value
    kind = _dataclass_of(typing.get_type_hints(type(row))[name])
    try:
        return kind()
    except TypeError as error:
        raise ValueError(
            f"`{name}` is {value!r}, and {kind.__name__} has no defaults to "
            f"change a field of: {error}"
        ) from error


def _check_kept(row: Any, path: str, value: Any) -> None:
    found = row
    for name in path.split("."):
        found = getattr(found, name, None)
    if found != value:
        raise ValueError(
            f"`{path}` follows from other fields, or from another change. "
            f"Received: {path}={value!r}, which would become {found!r}"
        )


def _read(path: str, text: str, kind: Any) -> Any:
    """Returns the value that a text stands for."""
    options = _options(kind)
    for option in options:
        try:
            return _parse(text, option)
        except ValueError:
            continue
    expected = " or ".join(dict.fromkeys(map(_describe, options)))
    raise ValueError(f"`{path}` must be {expected}. Received: {path}={text}")


def _options(kind: Any) -> list[Any]:
    """Returns the types that a field may have, text last."""
    union = typing.get_origin(kind) in (types.UnionType, typing.Union)
    options = list(typing.get_args(kind)) if union else [kind]
    return sorted(options, key=lambda option: option is str)


def _parse(text: str, kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is tuple:
        return _parse_tuple(text, typing.get_args(kind))
    if origin is typing.Literal:
        return _choose(text, {str(x): x for x in typing.get_args(kind)})
    if kind is types.NoneType:
        return _choose(text.lower(), {"none": None})
    if kind is bool:
        return _choose(text.lower(), _BOOLEANS)
    if kind is float and not math.isfinite(float(text)):
        raise ValueError(text)
    if kind in (int, float, str):
        return kind(text)
    raise ValueError(text)


def _choose(text: str, choices: dict[str, Any]) -> Any:
    if text not in choices:
        raise ValueError(text)
    return choices[text]


def _parse_tuple(text: str, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    inner = text.removeprefix("(").removesuffix(")")
    parts = [part.strip() for part in inner.split(",")]
    if not parts[-1]:
        parts.pop()
    if kinds[-1] is Ellipsis:
        kinds = kinds[:1] * len(parts)
    if len(kinds) != len(parts):
        raise ValueError(text)
    return tuple(
        _read("", part, kind) for part, kind in zip(parts, kinds, strict=True)
    )


def _describe(kind: Any) -> str:
    origin = typing.get_origin(kind)
    if origin is tuple:
        kinds = typing.get_args(kind)
        size = "" if kinds[-1] is Ellipsis else f"{len(kinds)} "
        return f"{size}values with commas, each {_describe(kinds[0])}"
    if origin is typing.Literal:
        return " or ".join(map(str, typing.get_args(kind)))
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return f"changed field by field, as {kind.__name__}"
    return _NAMES.get(kind, str(kind))
