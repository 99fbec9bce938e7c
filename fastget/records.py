"""Dataclasses that cost little to define: a start defines some eighty of them before its first request.

`record`  what passes from room to room: as good as frozen, which the type checker sees to
`frozen`  what users get in their hands: frozen by itself, as by `dataclass(frozen=True)`
`state`   what is counted in: its fields change

They are dataclasses to `dataclasses.fields`, `replace` and `asdict`, and can be pickled. But what `dataclass` adds to a
class it compiles for each class anew, which was 45 ms of a start (docs/design/0004-start-up.md). Here `__init__` is
compiled once for all classes of one shape, and the rest is shared. A method that the class has itself stays; each field
is an argument of `__init__`.
"""

from __future__ import annotations

import dataclasses
import operator
from functools import cache, partial
from operator import attrgetter
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, TypeVar, dataclass_transform, overload

if TYPE_CHECKING:
    from collections.abc import Callable

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
    own = vars(kind)
    made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(kind)
    fields = dataclasses.fields(made)  # type: ignore[arg-type]
    methods = {"__init__": _initializer(made, fields, is_frozen=is_frozen), **_by_value(fields)}
    if not is_hashed:
        methods["__hash__"] = None
    if order:
        methods.update(_in_order(fields))
    if is_frozen:
        methods.update(_unchanging(made, fields))
    for name, method in methods.items():
        if name not in own:
            setattr(made, name, method)
    return made


# What is created ------------------------------------------------------------------------------------------------------


class _Factory:
    """The default of an argument that is made for each object; it prints as in a dataclass's signature."""

    def __init__(self, make: Callable[[], object]) -> None:
        self.make = make

    def __repr__(self) -> str:
        return "<factory>"


def _initializer(made: type[object], fields: Fields, *, is_frozen: bool) -> Callable[..., None]:
    """An `__init__`: the code of its shape, with the names and defaults of these fields."""
    shape = tuple(field.default_factory is not dataclasses.MISSING for field in fields)
    code = _code(shape, is_frozen=is_frozen, is_followed=hasattr(made, "__post_init__"))
    named = [field.name for field in fields if field.kw_only]
    placed = {f"_{index}": field.name for index, field in enumerate(fields)}
    code = code.replace(
        co_argcount=1 + len(fields) - len(named),
        co_kwonlyargcount=len(named),
        co_varnames=tuple(placed.get(name, name) for name in code.co_varnames),
        co_names=tuple(placed.get(name, name) for name in code.co_names),
        co_consts=tuple(placed.get(value, value) if isinstance(value, str) else value for value in code.co_consts),
        co_qualname=f"{made.__qualname__}.__init__",
    )
    defaults = _defaults(fields)
    by_name = {name: defaults.pop(name) for name in named if name in defaults}
    initialize = FunctionType(code, _GLOBALS, "__init__", tuple(defaults.values()))
    initialize.__kwdefaults__ = by_name
    initialize.__annotations__ = {**{field.name: field.type for field in fields}, "return": None}
    return initialize


_GLOBALS: dict[str, object] = {"_Factory": _Factory, "_assign": object.__setattr__, "__builtins__": {}}


def _defaults(fields: Fields) -> dict[str, object]:
    made = {field.name: field.default_factory for field in fields if field.default_factory is not dataclasses.MISSING}
    plain = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
    found = {**plain, **{name: _Factory(make) for name, make in made.items()}}
    return {field.name: found[field.name] for field in fields if field.name in found}


@cache
def _code(shape: tuple[bool, ...], *, is_frozen: bool, is_followed: bool) -> CodeType:
    """The code of an `__init__` with an argument for each of `shape`, True where it has a factory."""
    lines = [f"def __init__(self, {', '.join(f'_{index}' for index in range(len(shape)))}):", " pass"]
    for index, has_factory in enumerate(shape):
        name = f"_{index}"
        if has_factory:
            lines.append(f" if {name}.__class__ is _Factory: {name} = {name}.make()")
        lines.append(f" _assign(self, {name!r}, {name})" if is_frozen else f" self.{name} = {name}")
    if is_followed:
        lines.append(" self.__post_init__()")
    found: dict[str, Any] = {}
    exec("\n".join(lines), {"__builtins__": {}}, found)  # noqa: S102 - nothing of it comes from elsewhere
    return found["__init__"].__code__  # type: ignore[no-any-return]


# What it can do -------------------------------------------------------------------------------------------------------


def _values(names: list[str]) -> Callable[[object], tuple[object, ...]]:
    """What objects are told apart by: of one name, attrgetter would give no tuple."""
    return attrgetter("__class__", *names)


def _by_value(fields: Fields) -> Methods:
    shown = tuple(field.name for field in fields if field.repr)
    values = _values([field.name for field in fields if field.compare])
    hashed_values = _values([field.name for field in fields if (field.compare if field.hash is None else field.hash)])

    def equal(self: object, other: object) -> bool:
        if self is other:
            return True
        return bool(values(self) == values(other)) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: object) -> int:
        return hash(hashed_values(self))

    def told(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    return {"__eq__": equal, "__hash__": hashed, "__repr__": told}


def _in_order(fields: Fields) -> Methods:
    values = _values([field.name for field in fields if field.compare])

    def ordered(compare: Callable[[object, object], bool]) -> Callable[[object, object], bool]:
        def method(self: object, other: object) -> bool:
            return compare(values(self), values(other)) if other.__class__ is self.__class__ else NotImplemented

        return method

    return {f"__{name}__": ordered(getattr(operator, name)) for name in ("lt", "le", "gt", "ge")}


def _unchanging(made: type[object], fields: Fields) -> Methods:
    """As `dataclass` has it: what a subclass adds may change. With slots, pickle would assign to what it reads."""
    names = tuple(field.name for field in fields)
    # What derives from it by `dataclass` has to be frozen, too, which is looked up here.
    made.__dataclass_params__.frozen = True  # type: ignore[attr-defined]

    def assign(self: object, name: str, value: object) -> None:
        if type(self) is made or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        object.__setattr__(self, name, value)

    def delete(self: object, name: str) -> None:
        if type(self) is made or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        object.__delattr__(self, name)

    def to_pickle(self: object) -> list[object]:
        return [getattr(self, name) for name in names]

    def from_pickle(self: object, values: list[object]) -> None:
        for name, value in zip(names, values, strict=True):
            object.__setattr__(self, name, value)

    methods: Methods = {"__setattr__": assign, "__delattr__": delete}
    if "__slots__" in vars(made):
        methods.update(__getstate__=to_pickle, __setstate__=from_pickle)
    return methods
