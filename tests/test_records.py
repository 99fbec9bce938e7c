"""Records behave as the frozen dataclasses that they stand for, as far as anything but an assignment can tell."""

from __future__ import annotations

import copy
import inspect
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastget.core.urls import Origin
from fastget.records import frozen, record, state


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


# What `dataclass` makes of the same fields is the oracle of all that follows.


@frozen
class Fact:
    url: str
    size: int | None = None
    tags: dict[str, str] = field(default_factory=dict, hash=False)
    key: str = field(default="k", repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.url:
            raise ValueError("no URL")


@dataclass(frozen=True, slots=True)
class FactOracle:
    url: str
    size: int | None = None
    tags: dict[str, str] = field(default_factory=dict, hash=False)
    key: str = field(default="k", repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.url:
            raise ValueError("no URL")


@frozen(kw_only=True, slots=False)
class Options:
    name: str
    count: int = 1
    tags: dict[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class OptionsOracle:
    name: str
    count: int = 1
    tags: dict[str, str] = field(default_factory=dict, hash=False)


@state
class Count:
    name: str
    at: int = 0
    seen: list[int] = field(default_factory=list)


@dataclass(slots=True)
class CountOracle:
    name: str
    at: int = 0
    seen: list[int] = field(default_factory=list)


@frozen(order=True)
class Step:
    at: int


@dataclass(frozen=True, slots=True, order=True)
class StepOracle:
    at: int


PAIRS = [(Fact, FactOracle), (Options, OptionsOracle), (Count, CountOracle), (Step, StepOracle), (Place, Oracle)]
pairs = pytest.mark.parametrize(("made", "oracle"), PAIRS, ids=lambda kind: kind.__name__)


@pairs
def test_it_is_created_from_the_same_arguments_and_tells_the_same_of_itself(made: Any, oracle: Any) -> None:
    told = str(inspect.signature(made))
    assert told == str(inspect.signature(oracle))
    assert made.__init__.__qualname__ == f"{made.__name__}.__init__"
    assert made.__match_args__ == oracle.__match_args__
    names = [item.name for item in fields(oracle)]
    assert [item.name for item in fields(made)] == names
    ours, theirs = (kind(**{names[0]: 1}) for kind in (made, oracle))
    assert asdict(ours) == asdict(theirs)
    assert repr(ours) == repr(theirs).replace(oracle.__name__, made.__name__)
    assert asdict(replace(ours, **{names[0]: 2})) == asdict(replace(theirs, **{names[0]: 2}))
    assert hasattr(ours, "__dict__") == hasattr(theirs, "__dict__")


@pairs
def test_it_refuses_the_same_arguments(made: Any, oracle: Any) -> None:
    arguments: list[tuple[tuple[Any, ...], dict[str, Any]]] = [((), {}), ((1, 2, 3, 4, 5), {}), ((1,), {"other": 1})]
    for positional, named in arguments:
        with pytest.raises(TypeError) as expected:
            oracle(*positional, **named)
        with pytest.raises(TypeError) as found:
            made(*positional, **named)
        assert str(found.value) == str(expected.value).replace(oracle.__name__, made.__name__)


@pairs
def test_it_can_be_assigned_to_hashed_and_deleted_from_as_the_same_dataclass(made: Any, oracle: Any) -> None:
    def outcome(act: Any, kind: Any) -> str:
        one = kind(**{fields(kind)[0].name: 1})
        try:
            act(one)
            return repr(one).replace(kind.__name__, "it")
        except (AttributeError, TypeError) as error:
            return f"{type(error).__name__}: {error}".replace(kind.__name__, "it")

    name = fields(oracle)[0].name
    acts = [lambda one: setattr(one, name, 2), lambda one: delattr(one, name), hash]
    if made is not Place:  # a record is frozen for the type checker alone
        for act in acts:
            assert outcome(act, made) == outcome(act, oracle)


@pairs
def test_it_survives_pickle_and_copies_as_the_same_dataclass(made: Any, oracle: Any) -> None:
    one = made(**{fields(oracle)[0].name: 1})
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(one, protocol)) == one
    assert copy.copy(one) == copy.deepcopy(one) == one


def test_each_object_has_a_default_of_its_own() -> None:
    one, two = Fact("u"), Fact("u")
    assert one.tags == {} == two.tags
    assert one.tags is not two.tags
    assert Count("a").seen is not Count("a").seen
    assert Options(name="x").tags is not Options(name="x").tags


def test_what_is_checked_at_the_end_is_checked() -> None:
    with pytest.raises(ValueError, match="no URL"):
        Fact("")
    with pytest.raises(ValueError, match="no URL"):
        replace(Fact("u"), url="")


@given(st.lists(st.integers(-3, 3)))
def test_they_sort_as_the_same_dataclass(numbers: list[int]) -> None:
    assert [step.at for step in sorted(map(Step, numbers))] == [step.at for step in sorted(map(StepOracle, numbers))]
    with pytest.raises(TypeError):
        Step(1) < 1  # type: ignore[operator]  # noqa: B015


def test_what_derives_from_a_frozen_one_is_a_frozen_dataclass() -> None:
    @dataclass(frozen=True)
    class More(Fact):
        note: str = ""

    more = More("u", note="n")
    assert (more.url, more.note) == ("u", "n")
    with pytest.raises(FrozenInstanceError):
        more.url = "v"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        more.note = "m"  # type: ignore[misc]
    for same in (copy.copy(more), copy.deepcopy(more)):
        assert (same.note, same) == ("n", more)
    with pytest.raises(TypeError):

        @dataclass
        class Less(Fact):  # type: ignore[misc]
            note: str = ""


def test_a_frozen_one_may_derive_from_a_frozen_one() -> None:
    @frozen
    class More(Fact):
        note: str = ""

    assert asdict(More("u", 1, note="n")) == {"url": "u", "size": 1, "tags": {}, "key": "k", "note": "n"}
    with pytest.raises(FrozenInstanceError):
        More("u").note = "m"  # type: ignore[misc]


@pairs
def test_its_annotations_can_be_looked_up(made: Any, oracle: Any) -> None:
    assert get_type_hints(made.__init__) == get_type_hints(oracle.__init__)
    assert made.__init__.__module__ == __name__


def test_names_of_arguments_alone_may_come_before_others() -> None:
    @frozen
    class Mixed:
        tag: int = field(kw_only=True)
        place: str
        note: str = field(default="n", kw_only=True)

    assert str(inspect.signature(Mixed)) == "(place: 'str', *, tag: 'int', note: 'str' = 'n') -> None"
    assert asdict(Mixed("p", tag=1)) == {"tag": 1, "place": "p", "note": "n"}


def test_what_cannot_be_an_argument_is_refused_where_it_is_defined() -> None:
    with pytest.raises(TypeError, match="without a default follows"):

        @record
        class Disordered:
            first: int = 1
            second: int  # type: ignore[misc]

    with pytest.raises(TypeError, match="has to be an argument"):

        @record
        class Hidden:
            first: int = field(default=1, init=False)


def test_one_that_compares_in_its_own_way_is_hashed_by_its_fields() -> None:
    @frozen
    class Own:  # noqa: PLW1641
        name: str

        def __eq__(self, other: object) -> bool:
            return False

    assert hash(Own("a")) == hash(Own("a"))
    assert Own("a") != Own("a")


def test_names_that_are_those_of_the_code_itself_are_fields_as_others() -> None:
    @frozen
    class Odd:
        make: int
        _assign: int
        _Factory: int

    assert asdict(Odd(1, 2, 3)) == {"make": 1, "_assign": 2, "_Factory": 3}


def test_one_without_a_docstring_is_defined_without_looking_for_its_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(inspect, "signature", asked.append)

    @record
    class Silent:
        number: int

    assert (asked, Silent.__doc__) == ([], f"A {Silent.__qualname__}.")
