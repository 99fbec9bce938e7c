"""What requests are pinned to: tried, accepted, loosened, and remembered for the next object of the store."""

from __future__ import annotations

import pytest

from fastget.core.objectinfo import Pin
from fastget.core.store_memory import StoreFacts
from fastget.engine.exchange.pinning import Pinning
from fastget.engine.exchange.stores import Store

ETAG = '"tag"'
PIN = Pin(ETAG, None, None, 100)


def test_a_form_that_was_served_is_that_of_the_next_object() -> None:
    store = Store()
    pinning = Pinning(PIN, store, may_refuse_its_etag=True)
    assert pinning.pin == PIN
    assert pinning.loosen(412)
    assert pinning.pin != PIN
    pinning.accept()
    assert store.facts.match_form == pinning.pin.match_form
    assert Pinning(PIN, store, may_refuse_its_etag=True).pin == pinning.pin


def test_once_served_a_412_means_another_object_or_another_store() -> None:
    store = Store()
    pinning = Pinning(PIN, store, may_refuse_its_etag=True)
    pinning.accept()
    assert store.facts.match_form is not None
    assert not pinning.loosen(412)
    assert pinning.pin == PIN
    assert store.facts.match_form is None


def test_a_store_that_takes_its_etags_is_believed_when_it_refuses_one() -> None:
    pinning = Pinning(PIN, Store(), may_refuse_its_etag=False)
    assert not pinning.loosen(412)
    assert pinning.pin == PIN


def test_what_others_were_served_with_counts_as_served() -> None:
    store = Store()
    pinning = Pinning(PIN, store, may_refuse_its_etag=True)
    pinning.take_over(PIN)
    assert not pinning.loosen(412)


@pytest.mark.parametrize("status", [200, 404, 500])
def test_other_answers_say_nothing_of_the_pin(status: int) -> None:
    store = Store(StoreFacts(match_form=None))
    pinning = Pinning(PIN, store, may_refuse_its_etag=True)
    assert not pinning.loosen(status)
    assert pinning.pin == PIN


def test_a_version_that_may_not_be_named_is_left_out_where_the_etag_pins() -> None:
    pinning = Pinning(Pin(ETAG, "v1", None, 100), Store(), may_refuse_its_etag=False)
    assert pinning.loosen(403)
    assert pinning.pin.version_id is None
    assert not pinning.loosen(403)


def test_a_remembered_form_that_is_no_proof_is_only_where_it_begins() -> None:
    """Some stores take the ETag of an object in one piece, and not that of one in parts."""
    store = Store(StoreFacts(match_form=PIN.match_form))
    pinning = Pinning(PIN, store, may_refuse_its_etag=True, is_form_proof=False)
    assert pinning.loosen(412)
    assert store.facts.match_form is PIN.match_form
    pinning.accept()
    assert store.facts.match_form is pinning.pin.match_form
