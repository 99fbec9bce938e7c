"""Records: the dataclasses that pass from room to room. As good as frozen, and cheap to define and to make.

Before Python 3.13 `dataclass(frozen=True)` compiles six methods for every class, which was 45 ms of a start
(docs/design/0004-start-up.md). Here it compiles one. That nobody assigns to a record is for the type checker to see;
what users of the library get in their hands is frozen by `dataclass` itself.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def record(kind: type[T]) -> type[T]:
    """Make a class of annotated fields a dataclass with slots, that compares, hashes and prints by its fields.

    A method of the same name that the class has itself stays.
    """
    own = vars(kind)
    made = dataclasses.dataclass(slots=True, eq=False, repr=False)(kind)
    for name, method in _methods(made).items():
        if name not in own:
            setattr(made, name, method)
    return made


def _methods(kind: type[object]) -> dict[str, Callable[..., object]]:
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    shown = tuple(field.name for field in fields if field.repr)
    values = attrgetter("__class__", *(field.name for field in fields if field.compare))

    def equal(self: object, other: object) -> bool:
        if self is other:
            return True
        return bool(values(self) == values(other)) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: object) -> int:
        return hash(values(self))

    def told(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

    return {"__eq__": equal, "__hash__": hashed, "__repr__": told}
