"""What the requests of one transfer are pinned to, as far as their store takes it: tried, accepted, loosened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastget.core.validators import PRECONDITION_FAILED, looser_pin

if TYPE_CHECKING:
    from fastget.core.objectinfo import Pin
    from fastget.engine.exchange.stores import Store


class Pinning:
    """Begins in the form that the store is known to take. One thread at a time may change it.

    `may_refuse_its_etag`: the store may be one that refuses the very ETag it has sent. `is_form_proof`: that it took
    another object's in this form shows that it takes this one's.
    """

    def __init__(self, pin: Pin, store: Store, *, may_refuse_its_etag: bool, is_form_proof: bool = True) -> None:
        form = store.facts.match_form
        self.pin = pin.in_form(form)
        self._store = store
        self._may_refuse_its_etag = may_refuse_its_etag
        self._is_accepted = is_form_proof and form is not None

    def take_over(self, pin: Pin) -> None:
        """Others were served with this one."""
        self.pin, self._is_accepted = pin, True

    def accept(self) -> None:
        """A request with this pin was served."""
        if not self._is_accepted:
            self._is_accepted = True
            if self.pin.is_strong:  # a weak ETag is never sent, and teaches nothing
                self._store.learn(match_form=self.pin.match_form)

    def loosen(self, status: int) -> bool:
        """A request with this pin was refused: is there another one to try, which it is from now on (`looser_pin`)?

        False for a 412 where a pinned request was served before: then the object is another one by now, or the store
        takes something else.
        """
        may = self._may_refuse_its_etag and not self._is_accepted
        if (looser := looser_pin(self.pin, status, may_refuse_its_etag=may)) is not None:
            self.pin = looser
        elif status == PRECONDITION_FAILED and self._is_accepted:
            self._store.learn(match_form=None)
        return looser is not None
