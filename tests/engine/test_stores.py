"""What is known of stores: kept once, forgotten in time, bounded in number, replaced by what contradicts it."""

from __future__ import annotations

import threading

from fastget.core.store_memory import MatchForm, StoreFacts
from fastget.engine.exchange.stores import LIFETIME, MOST_STORES, Store, Stores


def test_nothing_is_known_of_a_new_store() -> None:
    assert Stores().of("s3/bucket").facts == StoreFacts()


def test_what_one_learns_all_know() -> None:
    stores = Stores()
    stores.of("s3/bucket").learn(part_heads=False, match_form=MatchForm.UNQUOTED)
    assert stores.of("s3/bucket").facts == StoreFacts(part_heads=False, match_form=MatchForm.UNQUOTED)
    assert stores.of("s3/other").facts == StoreFacts()


def test_a_later_answer_outweighs_an_earlier_one() -> None:
    store = Store()
    store.learn(attributes=False)
    store.learn(attributes=True)
    assert store.facts.attributes is True


def test_facts_are_forgotten_after_a_while() -> None:
    now = [0.0]
    stores = Stores(clock=lambda: now[0])
    stores.of("s3/bucket").learn(attributes=False)
    now[0] = LIFETIME
    assert stores.of("s3/bucket").facts.attributes is False
    now[0] = LIFETIME + 1
    assert stores.of("s3/bucket").facts.attributes is None


def test_of_too_many_stores_the_least_used_is_forgotten() -> None:
    stores = Stores()
    for number in range(MOST_STORES):
        stores.of(str(number)).learn(attributes=False)
    stores.of("0")
    stores.of("one too many")
    assert stores.of("0").facts.attributes is False
    assert stores.of("1").facts.attributes is None


def test_forgetting_begins_anew() -> None:
    stores = Stores()
    stores.of("s3/bucket").learn(attributes=False)
    stores.forget()
    assert stores.of("s3/bucket").facts == StoreFacts()


def test_threads_that_learn_at_once_lose_nothing() -> None:
    store = Store()
    names = ("part_heads", "part_gets", "part_lengths", "attributes", "is_object_store")
    barrier = threading.Barrier(len(names))

    def learn(name: str) -> None:
        barrier.wait()
        store.learn(**{name: True})

    threads = [threading.Thread(target=learn, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(getattr(store.facts, name) for name in names)


def test_the_forms_of_a_condition_end() -> None:
    assert [form.next for form in MatchForm] == [MatchForm.UNQUOTED, MatchForm.NONE, None]
