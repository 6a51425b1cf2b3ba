"""What Glowplug and the Python processes of an engine say to each other around a snapshot: one datagram each way.

Question and answer are lines of text. Both carry the moment's id, 32 fresh random bytes in hexadecimal, so that an
answer to an earlier question cannot be taken for one to this.
"""

from __future__ import annotations

PREFIX = "\0glowplug-snapshot-"
"""Beginning of the names of the sockets, abstract ones of the network namespace; the pid in the process's own PID
namespace follows. CRIU brings pids and names back as they were."""

BEFORE_SNAPSHOT = "before_snapshot"
AFTER_RESTORE = "after_restore"

LONGEST = 60_000
"""Bytes of the longest datagram. A datagram of a Unix socket must fit the send buffer, 208 KiB by default."""


class Answer:
    """What a process did about a moment."""

    __slots__ = ("failure", "moment", "moment_id", "notes", "seconds")

    def __init__(self, moment: str, moment_id: str, seconds: float, failure: str, notes: list[str]) -> None:
        self.moment = moment
        self.moment_id = moment_id
        self.seconds = seconds
        self.failure = failure
        """One sentence; empty if all went well."""
        self.notes = notes
        """Sentences on what could not be done without harm."""


def encode_question(moment: str, moment_id: str) -> bytes:
    """The datagram that tells a process of a moment."""
    return f"{moment}\n{moment_id}".encode()


def decode_question(datagram: bytes) -> tuple[str, str]:
    """The moment and its id. Raises ValueError for anything else."""
    moment, moment_id = datagram.decode("ascii").split("\n")
    if moment not in (BEFORE_SNAPSHOT, AFTER_RESTORE) or len(bytes.fromhex(moment_id)) != 32:
        raise ValueError("not a question about a snapshot")
    return moment, moment_id


def encode_answer(answer: Answer) -> bytes:
    """The datagram that a process answers with."""
    sentences = [" ".join(sentence.split()) for sentence in (answer.failure, *answer.notes)]
    lines = [answer.moment, answer.moment_id, f"{answer.seconds:.6f}", *sentences]
    return "\n".join(lines).encode("utf-8", "replace")[:LONGEST]


def decode_answer(datagram: bytes) -> Answer:
    """Raises ValueError for anything that is no answer."""
    moment, moment_id, seconds, failure, *notes = datagram.decode("utf-8", "replace").split("\n")
    return Answer(moment, moment_id, float(seconds), failure, notes)
