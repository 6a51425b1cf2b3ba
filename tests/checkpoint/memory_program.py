"""Two processes with every sort of memory that matters to a dump, which compare all of it when they are asked.

Argument: a file of 64 pages that are full of 0xff. Run without the repository on the path; see dumps.running().
"""

import ctypes
import mmap
import os
import signal
import sys

PAGE = 4096
PAGES = 256
FILE_PAGES = 64


def content(page: int, salt: int) -> bytes:
    """A page that is like no other."""
    return (page * 251 + salt).to_bytes(8, "little") * (PAGE // 8)


def runs(lengths: list[int]) -> set[int]:
    """Numbers of the pages in runs of these lengths, a page between them."""
    found: set[int] = set()
    position = 1
    for length in lengths:
        found |= set(range(position, position + length))
        position += length + 1
    return found


ZERO = runs([1, 2, 7, 8, 9, 15, 16, 17, 40, 64])  # touched, zero
UNTOUCHED = set(range(200, 230))
FILE_ZERO = set(range(8, 40))
CHILD_ZERO = set(range(100, 190))  # zero in the child alone, some of them
CHILD_FILLED = set(range(20, 40))  # zero in the parent, some of them


def plan(kind: str, page: int, *, child: bool) -> bytes:
    """What the memory is to hold."""
    if kind == "file":
        return bytes(PAGE) if page in FILE_ZERO else b"\xff" * PAGE
    if kind == "changed" and child:
        if page in CHILD_ZERO:
            return bytes(PAGE)
        if page in CHILD_FILLED:
            return content(page, 77)
    return bytes(PAGE) if page in ZERO | UNTOUCHED else content(page, len(kind))


def main() -> None:
    private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    memory = {kind: mmap.mmap(-1, PAGES * PAGE, flags=private) for kind in ("common", "changed", "read-only")}
    memory["shared"] = mmap.mmap(-1, PAGES * PAGE, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)
    with open(sys.argv[1], "rb") as file:
        memory["file"] = mmap.mmap(file.fileno(), FILE_PAGES * PAGE, flags=mmap.MAP_PRIVATE)
    for kind, area in memory.items():
        for page in range(len(area) // PAGE):
            if kind == "file":
                if page in FILE_ZERO:
                    area[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
            elif page not in UNTOUCHED:
                area[page * PAGE : (page + 1) * PAGE] = plan(kind, page, child=False)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory["read-only"]))
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGES * PAGE), mmap.PROT_READ) == 0

    def differences(child: bool) -> str:
        wrong = [
            f"{kind}:{page}"
            for kind, area in memory.items()
            for page in range(len(area) // PAGE)
            if area[page * PAGE : (page + 1) * PAGE] != plan(kind, page, child=child)
        ]
        return " ".join(wrong) or "equal"

    question_read, question = os.pipe()
    answer, answer_write = os.pipe()
    if os.fork() == 0:
        for page in CHILD_ZERO | CHILD_FILLED:
            memory["changed"][page * PAGE : (page + 1) * PAGE] = plan("changed", page, child=True)
        os.write(answer_write, b"r")
        while os.read(question_read, 1):
            os.write(answer_write, differences(True).encode())
        os._exit(0)
    assert os.read(answer, 1) == b"r"

    # Neither sigwait(), during which the mask of blocked signals that the dump keeps is another one, nor pause(), which
    # may begin just after the signal.
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    os.write(1, b"ready\n")
    while os.read(told, 1):
        os.write(question, b"?")
        theirs = os.read(answer, 65536).decode()
        os.write(1, f"parent {differences(False)}, child {theirs}\n".encode())


if __name__ == "__main__":
    main()
