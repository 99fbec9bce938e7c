"""Dataclasses that cost little to define: a start defines some eighty of them before its first request.

`record`  what passes from room to room: as good as frozen, which the type checker sees to
`frozen`  what users get in their hands: frozen by itself, as by `dataclass(frozen=True)`
`state`   what is counted in: its fields change

They are dataclasses to `dataclasses.fields`, `replace` and `asdict`, and can be pickled. But what `dataclass` adds to a
class it compiles for each class anew, which was 45 ms of a start (docs/design/0004-start-up.md). Here `__init__` is
compiled once for all classes whose fields look alike, and the rest is shared. A method that the class has itself stays.
Each field is an argument of `__init__`; there is no InitVar.
"""

from __future__ import annotations

import dataclasses
import operator
import sys
from functools import cache, partial
from operator import attrgetter
from types import CellType, CodeType, FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    # The values of an object that are compared, its class before them.
    Values = Callable[[object], tuple[object, ...]]

T = TypeVar("T")
Methods = dict[str, Any]
Fields = tuple[dataclasses.Field[Any], ...]


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def record(kind: type[T]) -> type[T]:
    """Make a class of annotated fields a dataclass with slots, that compares, hashes and prints by its fields."""
    return _made(kind)


@dataclass_transform(field_specifiers=(dataclasses.field,))
def state(kind: type[T]) -> type[T]:
    """The same for a class whose fields are assigned to, which therefore has no hash."""
    return _made(kind, is_hashed=False)


@overload
def frozen(kind: type[T]) -> type[T]: ...
@overload
def frozen(*, kw_only: bool = False, order: bool = False, slots: bool = True) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(
    kind: type[T] | None = None, *, kw_only: bool = False, order: bool = False, slots: bool = True
) -> type[T] | Callable[[type[T]], type[T]]:
    """The same as `record` for a class that raises FrozenInstanceError where it is assigned to.

    `kw_only`, `order` and `slots` are those of `dataclass`.
    """
    make = partial(_made, is_frozen=True, kw_only=kw_only, order=order, slots=slots)
    return make if kind is None else make(kind)


def _made(
    kind: type[T],
    *,
    is_frozen: bool = False,
    is_hashed: bool = True,
    kw_only: bool = False,
    order: bool = False,
    slots: bool = True,
) -> type[T]:
    own = dict(vars(kind))
    if "__eq__" in own and own["__hash__"] is None:
        del own["__hash__"]  # nobody has said so: the language does, where there is an __eq__
    if kind.__doc__ is None:
        kind.__doc__ = f"A {kind.__qualname__}."  # `dataclass` would look for a signature, with a tokenizer: 5 ms
    # Where it derives from a frozen one, `dataclass` wants to know; it compiles two methods for that.
    derives = is_frozen and any(map(dataclasses.is_dataclass, kind.__mro__[1:]))
    make = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only, frozen=derives)
    made = make(kind)
    fields = dataclasses.fields(made)  # type: ignore[arg-type]
    values = _values(field.name for field in fields if field.compare)
    methods = {"__init__": _initializer(made, fields, is_frozen=is_frozen), **_by_value(fields, values)}
    if not is_hashed:
        methods["__hash__"] = None
    if order:
        methods.update(_in_order(values))
    if is_frozen:
        methods.update(_unchanging(made, fields))
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    # What is asked of a dataclass that others derive from.
    parameters = made.__dataclass_params__  # type: ignore[attr-defined]
    parameters.init = parameters.repr = parameters.eq = True
    parameters.frozen, parameters.order = is_frozen, order
    return made


# What is created ------------------------------------------------------------------------------------------------------


class _Factory:
    """The default of an argument that is made for each object; it prints as in a dataclass's signature."""

    def __init__(self, make: Callable[[], object]) -> None:
        self.make = make

    def __repr__(self) -> str:
        return "<factory>"


# What the code of an `__init__` knows beside its arguments.
_KNOWN: dict[str, object] = {"_assign": object.__setattr__, "_Factory": _Factory}


def _initializer(made: type[object], fields: Fields, *, is_frozen: bool) -> Callable[..., None]:
    """The code of its shape, with the names and defaults of these fields. Raises TypeError where that cannot be."""
    if not all(field.init for field in fields):
        raise TypeError(f"each field of {made.__qualname__} has to be an argument of __init__")
    placed = {field.name: _default(field) for field in fields if not field.kw_only}
    named = {field.name: _default(field) for field in fields if field.kw_only}
    defaults = [value for value in placed.values() if value is not _REQUIRED]
    if any(value is _REQUIRED for value in [*placed.values()][len(placed) - len(defaults) :]):
        raise TypeError(f"a field of {made.__qualname__} without a default follows one that has one")
    has_factory = tuple(isinstance(value, _Factory) for value in (*placed.values(), *named.values()))
    code = _code(has_factory, is_frozen=is_frozen, is_followed=hasattr(made, "__post_init__"))
    names = {f"_{number}": name for number, name in enumerate((*placed, *named))}
    code = code.replace(
        co_argcount=1 + len(placed),
        co_kwonlyargcount=len(named),
        co_varnames=tuple(names.get(name, name) for name in code.co_varnames),
        co_names=tuple(names.get(name, name) for name in code.co_names),
        co_consts=tuple(names.get(value, value) if isinstance(value, str) else value for value in code.co_consts),
        co_qualname=f"{made.__qualname__}.__init__",
    )
    # Where the names of its annotations are looked up.
    module = vars(sys.modules[made.__module__]) if made.__module__ in sys.modules else {}
    closure = tuple(CellType(_KNOWN[name]) for name in code.co_freevars)
    initialize = FunctionType(code, module, "__init__", tuple(defaults), closure)
    initialize.__kwdefaults__ = {name: value for name, value in named.items() if value is not _REQUIRED}
    initialize.__annotations__ = {**{field.name: field.type for field in fields}, "return": None}
    return initialize


_REQUIRED = dataclasses.MISSING


def _default(field: dataclasses.Field[Any]) -> object:
    return field.default if field.default_factory is _REQUIRED else _Factory(field.default_factory)


@cache
def _code(has_factory: tuple[bool, ...], *, is_frozen: bool, is_followed: bool) -> CodeType:
    """The code of an `__init__` with the arguments _0, _1, …"""
    arguments = [f"_{number}" for number in range(len(has_factory))]
    lines = [f"def known({', '.join(_KNOWN)}):", f" def __init__({', '.join(['self', *arguments])}):", "  pass"]
    for name, is_made in zip(arguments, has_factory, strict=True):
        if is_made:
            lines.append(f"  if {name}.__class__ is _Factory: {name} = {name}.make()")
        lines.append(f"  _assign(self, {name!r}, {name})" if is_frozen else f"  self.{name} = {name}")
    if is_followed:
        lines.append("  self.__post_init__()")
    return _within(_within(compile("\n".join(lines), __name__, "exec")))


def _within(code: CodeType) -> CodeType:
    """The code of the one function that another one defines."""
    return next(value for value in code.co_consts if isinstance(value, CodeType))


# What it can do -------------------------------------------------------------------------------------------------------


def _values(names: Iterable[str]) -> Values:
    """What objects are told apart by: of one name, attrgetter would give no tuple."""
    return attrgetter("__class__", *names)


def _by_value(fields: Fields, values: Values) -> Methods:
    shown = tuple(field.name for field in fields if field.repr)
    hashed_values = _values(field.name for field in fields if (field.compare if field.hash is None else field.hash))

    def equal(self: object, other: object) -> bool:
        if self is other:
            return True
        return bool(values(self) == values(other)) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: object) -> int:
        return hash(hashed_values(self))

    def told(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    return {"__eq__": equal, "__hash__": hashed, "__repr__": told}


def _in_order(values: Values) -> Methods:
    def ordered(compare: Callable[[object, object], bool]) -> Callable[[object, object], bool]:
        def method(self: object, other: object) -> bool:
            return compare(values(self), values(other)) if other.__class__ is self.__class__ else NotImplemented

        return method

    return {f"__{name}__": ordered(getattr(operator, name)) for name in ("lt", "le", "gt", "ge")}


def _unchanging(made: type[object], fields: Fields) -> Methods:
    """As `dataclass` has it: what a subclass adds may change. With slots, pickle would assign to what it reads."""
    names = tuple(field.name for field in fields)

    def assign(self: object, name: str, value: object) -> None:
        if type(self) is made or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def delete(self: object, name: str) -> None:
        if type(self) is made or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    def to_pickle(self: object) -> list[object]:
        return [getattr(self, field.name) for field in dataclasses.fields(self)]  # type: ignore[arg-type]

    def from_pickle(self: object, values: list[object]) -> None:
        for field, value in zip(dataclasses.fields(self), values, strict=True):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, value)

    methods: Methods = {"__setattr__": assign, "__delattr__": delete}
    if "__slots__" in vars(made):
        methods.update(__getstate__=to_pickle, __setstate__=from_pickle)
    return methods
