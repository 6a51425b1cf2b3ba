"""A thread that waits to be told of a snapshot, in every Python process of an engine.

It is there from the start of the interpreter to its end, so it is no more than a socket and a sleeping thread, and
imports nothing that takes long. What is done at a moment (`moments.py`) is loaded when the first one comes.
"""

from __future__ import annotations

import _socket
import _thread
import fcntl
import os
import sys

from . import protocol

TYPE_CHECKING = False  # the name is what type checkers know; importing `typing` takes milliseconds
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # `signal` imports `enum`, which takes a millisecond

_FIRST_DESCRIPTOR = 700
"""Sockets get a number from here on, if so many are allowed: an engine's own files keep the numbers they have without
us, and a number of ours that somebody closes is not soon another file's."""

_SYNCHRONOUS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS")
"""Signals that a thread causes itself; they cannot wait for another thread."""

_start_thread = _thread.start_new_thread  # before a library replaces it by green threads


class _Endpoint:
    """The socket of this process, and the means to know whether its number still is that socket."""

    def __init__(self) -> None:
        made = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
        try:
            number = fcntl.fcntl(made.fileno(), fcntl.F_DUPFD_CLOEXEC, _FIRST_DESCRIPTOR)
        except OSError:  # the limit of open files is below
            self.socket = made
        else:
            made.close()
            self.socket = _socket.socket(fileno=number)
        try:
            self.socket.settimeout(None)  # whatever setdefaulttimeout() says
            self.socket.bind(protocol.PREFIX + str(os.getpid()))
            self._name = self.socket.getsockname()
        except OSError:
            self.socket.close()
            raise

    def intact(self) -> bool:
        """Whether nobody has closed the socket, or put something else in its place."""
        try:
            # Its name, not its inode: a restored socket is another file.
            return self.socket.getsockname() == self._name
        except OSError:
            return False

    def let_go(self) -> None:
        """Close the socket, but never what has taken its place."""
        if self.intact():
            self.socket.close()
        else:
            self.socket.detach()


_endpoint: _Endpoint | None = None


def start() -> None:
    """Listen from now on, here and in all children. Raises OSError if there can be no socket or no thread."""
    # Python >= 3.12 tells. Before, the name is taken when a second interpreter of a process comes here.
    in_main_interpreter = getattr(_thread, "_is_main_interpreter", lambda: True)
    if _endpoint is None and in_main_interpreter():
        _begin()
        os.register_at_fork(after_in_child=_in_child)


def _begin() -> None:
    global _endpoint
    _endpoint = _Endpoint()
    _start_thread(_listen, (_endpoint,))


def _in_child() -> None:
    """A fork copies the parent's socket, but not the thread; the child needs its own of both."""
    global _endpoint
    parents, _endpoint = _endpoint, None
    try:
        if parents is not None:
            parents.let_go()
        _begin()
    except Exception as error:
        _complain(error)


def _listen(endpoint: _Endpoint) -> None:
    global _endpoint
    # Signals are the engine's: none may interrupt this thread, since the system call would be repeated with a number
    # that may be another file's by then.
    deferred = _signal.valid_signals() - {getattr(_signal, name) for name in _SYNCHRONOUS}
    usual = _signal.pthread_sigmask(_signal.SIG_BLOCK, deferred)
    while True:
        question = asker = b""
        try:
            if endpoint.intact():
                question, asker = endpoint.socket.recvfrom(protocol.LONGEST)
        except OSError as error:
            if endpoint.intact():
                _complain(error)
                return
        try:
            if not endpoint.intact():  # an engine that closes all files takes ours for a stranger's
                endpoint.let_go()
                endpoint = _endpoint = _Endpoint()
        except OSError as error:
            _complain(error)
            return
        if asker:
            # Hooks may start threads and processes, which inherit what is deferred.
            _signal.pthread_sigmask(_signal.SIG_SETMASK, usual)
            _answer(endpoint, question, asker)
            _signal.pthread_sigmask(_signal.SIG_BLOCK, deferred)


def _answer(endpoint: _Endpoint, question: bytes, asker: str | bytes) -> None:
    try:
        moment, moment_id = protocol.decode_question(question)
    except ValueError:
        return
    try:
        from . import moments

        answer = moments.answer(moment, moment_id)
    except Exception as error:
        answer = protocol.Answer(moment, moment_id, 0.0, f"the hooks are out of order: {error}", [])
    try:
        endpoint.socket.sendto(protocol.encode_answer(answer), asker)
    except ConnectionError:
        return  # who asked has gone
    except OSError as error:
        _complain(error)


def _complain(error: Exception) -> None:
    try:  # noqa: SIM105 - contextlib takes a millisecond to import
        sys.stderr.write(f"glowplug: process {os.getpid()} cannot be told of snapshots: {error}\n")
    except Exception:  # noqa: S110 - without a place for complaints, silence is all that is left
        pass
