"""What a handler of the caller's raises when a signal comes in the middle of a call: no failure of the connection."""

from __future__ import annotations


def is_of_handler(error: BaseException) -> bool:
    """Whether a signal handler raised it, or another thread here, above all an error that a socket could have raised.

    Bytes that had just come are then lost, as the call that brought them did not return. A handler is given the frame
    that it interrupts, which is how it is known here; another thread can only name a class of errors
    (PyThreadState_SetAsyncExc), and a socket's are never without words.
    """
    if not error.args:
        return True
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        interrupted, step = step.tb_frame, step.tb_next
        for value in step.tb_frame.f_locals.values():
            if value is interrupted or (isinstance(value, tuple) and any(one is interrupted for one in value)):
                return True
    return False
