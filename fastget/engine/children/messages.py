"""What any two processes tell each other: that it is over, and what has gone wrong."""

from __future__ import annotations

from fastget.records import record


@record
class Stop:
    """To a child: let go of everything, say what there is to say, and end."""


@record
class Failure:
    """An exception on its way to another process, with the error of the system behind it, if there is one."""

    error: BaseException
    cause: OSError | None = None

    def unpacked(self) -> BaseException:
        """The exception, to be raised."""
        self.error.__cause__ = self.cause
        return self.error


def packed(error: BaseException) -> Failure:
    """`error` in a form that another process can raise: what cannot travel does so as its own description."""
    import pickle

    cause = error.__cause__
    failure = Failure(error, cause if isinstance(cause, OSError) else None)
    try:
        pickle.loads(pickle.dumps(failure))  # noqa: S301 - what was just made
    except Exception:  # noqa: BLE001 - whatever its author has made of pickling
        return Failure(RuntimeError(f"{type(error).__name__}: {error}"))
    return failure
