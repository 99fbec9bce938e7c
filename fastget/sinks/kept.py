"""A file whose unfinished download can be gone on with, after whatever ended it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from fastget.core.journal import Claim, Header, Identity, encode_claim, encode_withdrawal
from fastget.errors import DestinationError
from fastget.sinks.anonymous import create_anonymous, name_it, open_again, take_place
from fastget.sinks.descriptor import SharedDescriptor
from fastget.sinks.existing import exists, open_existing, sign
from fastget.sinks.journal import NOT_OURS, Found, JournalFile, NotOurs, check_free, look, take
from fastget.sinks.modes import set_mode
from fastget.sinks.names import Names, new_token
from fastget.sinks.orphans import take_away_orphans
from fastget.sinks.ownership import Standing, lock, this_process
from fastget.sinks.protocol import Leftover
from fastget.sinks.publishing import CREATE
from fastget.sinks.reopening import reopen
from fastget.sinks.whole import WholeFileSink

if TYPE_CHECKING:
    from os import PathLike

    from fastget.core.ranges import Span
    from fastget.sinks.existing import OpenedFile
    from fastget.sinks.protocol import Resumable


class KeptFile(WholeFileSink):
    """A file sink with a journal beside its part file, `.NAME.fastget-journal`, mode 0600.

    While it writes, no other process can (DestinationError there); a process that is gone is succeeded by one. A
    published file carries a note of the version that it is a copy of. With `resume=False` nothing is kept or used,
    only what an earlier run has left is taken away.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        fsync: bool = True,
        overwrite: bool = True,
        resume: bool = True,
        at: int | None = None,
    ) -> None:
        super().__init__(path, fsync=fsync, overwrite=overwrite, at=at)
        self._resume = resume
        self._identity: Identity | None = None
        self._journal: JournalFile | None = None
        self._token = self._part_token = ""
        self._found: Found | None = None
        self._leftover = Leftover()
        self._claimed = self._is_kept = False
        # Whether a look has just shown that nothing was left.
        self._is_clear = False
        # The part file that an earlier run has left, until it is this one's, and one that is only read from.
        self._old: int | None = None
        self._is_flushing = False
        # Whether the part file has no name, and by which descriptor it gets one.
        self._is_anonymous = False
        self._finished: int | None = None

    @property
    def resumable(self) -> Resumable | None:
        return self if self._resume else None

    # Before the download ---------------------------------------------------------------------------------------

    def leftover(self) -> Identity | None:
        try:
            directory = self._open_directory()
        except OSError:
            return None  # `check` says what is wrong with it
        names = Names(directory, self._name, self._path)
        try:
            found = look(names, names.journal)
            check_free(found, names)
        except DestinationError:
            raise
        except (NotOurs, OSError):
            return None
        finally:
            os.close(directory)
        self._is_clear = found is None
        return found.journal.header.identity if found is not None and found.journal is not None else None

    def clear(self) -> None:
        directory = self._open_directory()
        try:
            self._clear(directory)
        finally:
            os.close(directory)

    def existing(self) -> OpenedFile | None:
        return open_existing(self._path, self._at) if self._overwrite else None

    def open(self, size: int | None) -> None:
        self._make(size, self._clear_and_create)

    def begin(self, size: int, identity: Identity, *, is_journalled: bool) -> Leftover:
        self._identity, self._leftover, self._claimed, self._is_kept = identity, Leftover(), False, False
        self._make(size, self._succeed if is_journalled else self._clear_and_create)
        return self._leftover

    # While it runs ---------------------------------------------------------------------------------------------

    def read_claimed(self, offset: int, buffer: memoryview) -> int:
        if self._old is None:
            return self.read_at(offset, buffer)
        try:
            return os.preadv(self._old, [buffer], offset)
        except OSError as error:
            raise self._failure(error, "read what was left of") from error

    def claim(self, span: Span, digest: bytes) -> None:
        if (journal := self._journal) is not None:
            self._claimed = True
            journal.append(encode_claim(self._token, Claim(span, digest)))

    def withdraw(self, span: Span) -> None:
        if (journal := self._journal) is not None:
            journal.append(encode_withdrawal(self._token, span))

    def beat(self) -> None:
        if (journal := self._journal) is not None:
            journal.beat()

    # Afterwards ------------------------------------------------------------------------------------------------

    def keep(self) -> bool:
        journal = self._journal
        if journal is not None and self._claimed and self._can_be_gone_on_with(journal):
            self._part = self._journal = None
            journal.release()
            self._is_kept = True
        self.discard()
        return self._is_kept

    def _can_be_gone_on_with(self, journal: JournalFile) -> bool:
        """Whether another one does so already, or both files are where the next one looks for them."""
        part, directory = self._part, self._directory
        is_there = part is not None and directory is not None and exists(part, directory)
        return is_there and (journal.is_readable or journal.is_taken_over)

    def _leave(self) -> None:
        journal, self._journal = self._journal, None
        if journal is not None:
            journal.remove()
        for descriptor in (self._old, self._finished):
            if descriptor is not None:
                with suppress(OSError):
                    os.close(descriptor)
        self._old = self._finished = None
        self._is_anonymous = False

    def _sign(self, descriptor: int) -> None:
        if self._identity is not None:
            sign(descriptor, self._identity)
        if self._is_anonymous:
            # By this one it gets its name, when the one that it was written by is closed.
            self._finished = open_again(descriptor)
        self._is_flushing = True

    def _rename(self) -> None:
        self._is_flushing = False
        if self._is_anonymous:
            self._name_it()
            return
        if self._journal is not None and self._journal.is_taken_over:
            raise DestinationError(
                f"another fastget has taken over the download to {self._path}",
                path=self._path,
                hint="this process had not shown itself for long; the other one is going to finish it",
            )
        super()._rename()

    def _name_it(self) -> None:
        directory, finished = self._directory, self._finished
        if directory is None or finished is None:
            raise DestinationError(f"{self._path} was discarded while it was being finished", path=self._path)
        try:
            name_it(finished, self._name, directory)
        except FileExistsError:
            if not self._overwrite:
                raise self._exists() from None
            take_place(finished, Names(directory, self._name, self._path))
        self._file = None

    def _give_up(self, error: BaseException) -> None:
        # After a flush that failed the system may claim that the bytes are there, though the disk lost them (X4).
        is_lost = self._is_flushing and (isinstance(error, OSError) or isinstance(error.__context__, OSError))
        if is_lost:
            self.discard()
        else:
            self.keep()

    # Taking over -----------------------------------------------------------------------------------------------

    def _clear_and_create(self, directory: int) -> int:
        """A part file without a journal; nothing stays of what an earlier run has left."""
        self._clear(directory)
        return self._create_anonymous(directory)

    def _create_anonymous(self, directory: int) -> int:
        """A part file that vanishes with the process, where there are such files."""
        replaced = self._replaced_mode(directory)
        descriptor = create_anonymous(directory, os.O_RDWR, 0o666 if replaced is None else replaced)
        if descriptor is None:
            return self._create_part(directory)
        self._is_anonymous = True
        self._own(descriptor, replaced)
        return descriptor

    def _clear(self, directory: int) -> None:
        if self._is_clear:
            return
        names = Names(directory, self._name, self._path)
        try:
            if look(names, names.journal) is not None:
                self._token = os.urandom(6).hex()
                journal, _ = take(names, self._compose_nothing, lambda: self._drop_old(names))
                journal.remove()
        except DestinationError:
            if self._resume:
                raise
        except NotOurs:
            take_away_orphans(names, None)
        except OSError:
            return  # what cannot be taken away stays

    def _compose_nothing(self, found: Found | None) -> tuple[Header, tuple[Claim, ...]]:
        self._found = found
        nothing = Identity("", "", 0)
        return Header(this_process(self._token), nothing, self._token), ()

    def _succeed(self, directory: int) -> int:
        """The part file of this download, under a journal of this process."""
        names = Names(directory, self._name, self._path)
        self._token = os.urandom(6).hex()
        replaced = self._replaced_mode(directory)
        try:
            self._journal, mode = take(names, lambda found: self._compose(names, found), lambda: self._drop_old(names))
        except DestinationError:
            raise
        except NotOurs:
            take_away_orphans(names, None)
            return self._go_without(directory, f"{names.journal} beside it {NOT_OURS}")
        except OSError:
            return self._go_without(directory)
        self._mode = mode if replaced is None else replaced
        self._part = names.part(self._part_token)
        if self._at is None:  # a folder with many downloads is looked through only where something is amiss
            take_away_orphans(names, self._part)
        if self._leftover.claims and not self._leftover.is_elsewhere and self._old is not None:
            descriptor, self._old = self._old, None
            self._claimed = True
        else:
            made = 0o600 if self._journal.is_private else self._mode  # which it may be unable to change
            descriptor = os.open(self._part, CREATE, made, dir_fd=directory)
        lock(descriptor)
        self._file = SharedDescriptor(descriptor)
        set_mode(descriptor, 0o600)  # a umask may have taken what the next one needs
        return descriptor

    def _go_without(self, directory: int, refused: str | None = None) -> int:
        """A part file, but no journal."""
        self._leftover = Leftover(refused=refused)
        return self._create_anonymous(directory)

    def _compose(self, names: Names, found: Found | None) -> tuple[Header, tuple[Claim, ...]]:
        """What the journal is going to say, given the one that lies there."""
        identity = self._identity
        if identity is None:
            raise RuntimeError("nobody has said what is being downloaded")
        self._found = found
        self._part_token = new_token(self._name)
        self._leftover = self._examine(names, found, identity)
        claims = self._leftover.claims
        if self._leftover.is_elsewhere:
            claims = ()  # they become true once the bytes are copied
        elif claims and found is not None and found.journal is not None:
            self._part_token = found.journal.header.part
        return Header(this_process(self._token), identity, self._part_token), claims

    def _examine(self, names: Names, found: Found | None, identity: Identity) -> Leftover:
        self._close_old()
        if found is None:
            return Leftover()
        if found.journal is None:
            return Leftover(refused="its journal cannot be read")
        if (difference := found.journal.header.identity.difference(identity)) is not None:
            return Leftover(refused=difference)
        if not found.journal.claims:  # its file goes, and must not be held open: the new one needs the room
            return Leftover(refused="nothing that it could go on with had landed")
        # An owner that may come back to life could still write into its file: that one is only read.
        is_elsewhere = found.standing is not Standing.GONE
        self._old = reopen(
            names.part(found.journal.header.part), names.directory, os.O_RDONLY if is_elsewhere else os.O_RDWR
        )
        if self._old is None:
            return Leftover(refused="what had landed is gone")
        return Leftover(found.journal.claims, None, is_elsewhere)

    def _drop_old(self, names: Names) -> None:
        """Take away the part file of the journal that is being replaced, unless it is gone on with."""
        journal = self._found.journal if self._found is not None else None
        if journal is None:
            take_away_orphans(names, None)
            return
        is_used = self._leftover.claims and not self._leftover.is_elsewhere
        if not is_used:
            with suppress(OSError):
                os.unlink(names.part(journal.header.part), dir_fd=names.directory)

    def _close_old(self) -> None:
        old, self._old = self._old, None
        if old is not None:
            os.close(old)
