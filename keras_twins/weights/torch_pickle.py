"""A pickle machine that can build containers and tensor records, only.

`pickle.Unpickler` can be restricted to chosen classes, but not to harmless
operations on them. Here the standard library only splits the stream into
opcodes (`pickletools.genops`); each opcode that a state dict needs is carried
out by a line below, every other one is refused. No object of a file is ever
imported, called or given attributes.
"""

import pickletools
from collections.abc import Callable
from typing import Any
from typing import NamedTuple

from keras_twins.weights.torch_tensors import STORAGE_DTYPES
from keras_twins.weights.torch_tensors import StorageRecord
from keras_twins.weights.torch_tensors import TensorRecord


class Global(NamedTuple):
    """The name of a class or function that a file refers to."""

    name: str


_MAX_LINE = 1024
_MARK = object()


class Cursor:
    """Reads a buffer from the front; never beyond its end.

    Args:
        data: The bytes.
    """

    def __init__(self, data: memoryview):
        self._data = data
        self._position = 0

    def tell(self) -> int:
        """Returns how many bytes have been read."""
        return self._position

    def read(self, size: int) -> bytes:
        """Returns the next bytes, fewer than `size` at the end."""
        return bytes(self.take(size))

    def take(self, size: int) -> memoryview:
        """Returns the next bytes without a copy, fewer at the end."""
        start = self._position
        self._position = min(start + max(size, 0), len(self._data))
        return self._data[start : self._position]

    def readline(self) -> bytes:
        """Returns the bytes up to the next newline; refuses long lines."""
        start = self._position
        ahead = bytes(self._data[start : start + _MAX_LINE])
        line = ahead[: ahead.find(b"\n") + 1]
        self._position += len(line)
        return line


def read_pickle(cursor: Cursor) -> Any:
    """Reads one pickle.

    Args:
        cursor: Where to read; afterwards it stands behind the pickle.

    Returns:
        Dictionaries, lists, tuples, numbers, strings and `TensorRecord`s.

    Raises:
        ValueError: If the pickle is damaged, or holds anything else.
    """
    machine = _Machine()
    stream: Any = cursor  # genops needs no more of a file than a cursor has
    for opcode, argument, _ in pickletools.genops(stream):
        step = _STEPS.get(opcode.name)
        if step is None:
            raise ValueError(f"the pickle opcode {opcode.name} is refused")
        step(machine, argument)
    return machine.pop()


class _Machine:
    def __init__(self):
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack:
            raise ValueError("the pickle takes more values than it made")
        return self.stack.pop()

    def pop_many(self, count: int) -> list[Any]:
        return [self.pop() for _ in range(count)][::-1]

    def pop_mark(self) -> list[Any]:
        values = []
        while (value := self.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def top(self, kind: type) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise ValueError(f"the pickle fills something other than a {kind}")
        return self.stack[-1]


def _name_global(machine: _Machine, name: str) -> None:
    if name not in _CALLS and name not in STORAGE_DTYPES:
        raise ValueError(
            f"it refers to {name.replace(' ', '.')[:200]!r}, which a file of "
            "tensors does not need; nothing of it was run"
        )
    machine.push(Global(name))


def _stack_global(machine: _Machine, _: Any) -> None:
    names = machine.pop_many(2)
    if any(type(name) is not str for name in names):
        raise ValueError("a class is named in an unknown way")
    _name_global(machine, " ".join(names))


def _put(machine: _Machine, index: int) -> None:
    machine.push(value := machine.pop())
    machine.memo[index] = value


def _get(machine: _Machine, index: int) -> None:
    if index not in machine.memo:
        raise ValueError("the pickle refers to a value it did not make")
    machine.push(machine.memo[index])


def _set_items(machine: _Machine, items: list[Any]) -> None:
    target = machine.top(dict)
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(key) not in (str, int, float, bool, type(None)):
            raise ValueError(f"a key is a {type(key).__name__}")
        target[key] = value


def _build(machine: _Machine, _: Any) -> None:
    # The attribute `_metadata` of a module's state dict; nobody needs it.
    machine.pop()
    machine.top(dict)


def _reduce(machine: _Machine, _: Any) -> None:
    function, arguments = machine.pop_many(2)
    call = _CALLS.get(function.name) if type(function) is Global else None
    if call is None or type(arguments) is not tuple:
        raise ValueError("it calls something other than a tensor's builder")
    machine.push(call(*arguments))


def _persistent(machine: _Machine, _: Any) -> None:
    """Takes `("storage", class, key, location, numel)`; legacy: + view."""
    record = machine.pop()
    if type(record) is not tuple or len(record) not in (5, 6):
        raise ValueError("a storage is described in an unknown way")
    tag, kind, key, _, numel, *view = record
    known = type(kind) is Global and kind.name in STORAGE_DTYPES
    if tag != "storage" or not known or view not in ([], [None]):
        raise ValueError("a storage is described in an unknown way")
    if type(key) is not str or type(numel) is not int or numel < 0:
        raise ValueError("a storage has a bad key or length")
    machine.push(StorageRecord(STORAGE_DTYPES[kind.name], key, numel))


def _tensor(
    storage: Any, offset: Any, size: Any, stride: Any, *_: Any
) -> TensorRecord:
    if type(storage) is not StorageRecord:
        raise ValueError("a tensor without a storage")
    if type(size) is not tuple or type(stride) is not tuple:
        raise ValueError("a tensor without a shape")
    numbers = (offset, *size, *stride)
    if any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError("a tensor with a bad shape, stride or offset")
    if len(size) != len(stride) or len(size) > 32:
        raise ValueError("a tensor whose shape and strides differ in length")
    return TensorRecord(storage, offset, size, stride)


def _parameter(data: Any, *_: Any) -> TensorRecord:
    if type(data) is not TensorRecord:
        raise ValueError("a parameter without a tensor")
    return data


_CALLS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": lambda: {},
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": _parameter,
}

_Step = Callable[[_Machine, Any], None]


def _constants() -> dict[str, _Step]:
    """Returns the opcodes that push their argument."""
    names = (
        "BININT BININT1 BININT2 INT LONG LONG1 LONG4 BINFLOAT FLOAT "
        "BINUNICODE SHORT_BINUNICODE UNICODE BINBYTES SHORT_BINBYTES"
    )
    return dict.fromkeys(names.split(), lambda m, value: m.push(value))


_STEPS: dict[str, _Step] = _constants() | {
    "PROTO": lambda m, _: None,
    "FRAME": lambda m, _: None,
    "STOP": lambda m, _: None,
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    "MARK": lambda m, _: m.push(_MARK),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_mark())),
    "TUPLE1": lambda m, _: m.push(tuple(m.pop_many(1))),
    "TUPLE2": lambda m, _: m.push(tuple(m.pop_many(2))),
    "TUPLE3": lambda m, _: m.push(tuple(m.pop_many(3))),
    "PUT": _put,
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": lambda m, _: _put(m, len(m.memo)),
    "GET": _get,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": _name_global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "BUILD": _build,
    "BINPERSID": _persistent,
    "APPEND": lambda m, _: _append(m, m.pop_many(1)),
    "APPENDS": lambda m, _: _append(m, m.pop_mark()),
    "SETITEM": lambda m, _: _set_items(m, m.pop_many(2)),
    "SETITEMS": lambda m, _: _set_items(m, m.pop_mark()),
}


def _append(machine: _Machine, values: list[Any]) -> None:
    machine.top(list).extend(values)
