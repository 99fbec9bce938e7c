"""Records behave as the frozen dataclasses that they stand for, as far as anything but an assignment can tell."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, is_dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.urls import Origin
from fastget.records import record


@record
class Place:
    name: str
    at: int = 0
    note: str = field(default="", compare=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Oracle:
    name: str
    at: int = 0
    note: str = field(default="", compare=False)
    secret: str = field(default="", repr=False)


@record
class Other:
    name: str
    at: int = 0


@record
class Empty:
    pass


values = st.tuples(st.text(max_size=2), st.integers(0, 2), st.text(max_size=1), st.text(max_size=1))


@given(one=values, two=values)
def test_records_compare_hash_and_print_as_frozen_dataclasses_do(
    one: tuple[str, int, str, str], two: tuple[str, int, str, str]
) -> None:
    assert (Place(*one) == Place(*two)) is (Oracle(*one) == Oracle(*two))
    assert (Place(*one) != Place(*two)) is (Oracle(*one) != Oracle(*two))
    if Place(*one) == Place(*two):
        assert hash(Place(*one)) == hash(Place(*two))
    assert repr(Place(*one)) == repr(Oracle(*one)).replace("Oracle", "Place")


def test_records_of_different_classes_are_never_equal() -> None:
    assert len({Place("a", 1), Other("a", 1)}) == 2
    assert Empty() == Empty()
    assert len({Empty(), Empty(), Other("a"), Other("a")}) == 2


def test_a_record_is_a_dataclass_that_can_be_replaced_copied_and_pickled() -> None:
    origin = Origin("https", "example.org", 443)
    assert is_dataclass(origin)
    assert replace(origin, port=80) == Origin("https", "example.org", 80)
    assert pickle.loads(pickle.dumps(origin)) == copy.copy(origin) == copy.deepcopy(origin) == origin


def test_a_record_has_no_room_for_anything_but_its_fields() -> None:
    with pytest.raises(AttributeError):
        Other("a").nmae = "b"  # type: ignore[attr-defined]


def test_what_a_class_says_itself_stays() -> None:
    @record
    class Quiet:
        secret: str

        def __repr__(self) -> str:
            return "Quiet(…)"

    assert repr(Quiet("x")) == "Quiet(…)"


def test_what_users_get_in_their_hands_is_frozen() -> None:
    from fastget import ObjectInfo

    info = ObjectInfo(url="http://example.org/x", size=None)
    with pytest.raises(FrozenInstanceError):
        info.size = 1  # type: ignore[misc]
