"""The same work on many items, in threads. Worth it for work that releases the GIL: reading, hashing, compressing."""

import os
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")
State = TypeVar("State")


def cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def for_each(
    items: Iterable[Item],
    work: Callable[[State, Item], None],
    state: Callable[[], State],
    threads: int,
    niceness: int = 0,
) -> None:
    """Call `work(state, item)` for every item; each thread has a state of its own (its buffers).

    After the first error no further item is begun, and that error is raised when all threads have ended. `niceness` is
    added to that of the threads (setpriority(2) on Linux is per thread).
    """
    iterator = iter(items)
    lock = threading.Lock()
    errors: list[BaseException] = []

    def next_item() -> tuple[Item] | None:
        with lock:
            if not errors:
                for item in iterator:
                    return (item,)
            return None

    def run() -> None:
        try:
            if niceness:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
            own = state()
            while (item := next_item()) is not None:
                work(own, item[0])
        except BaseException as error:  # to be raised in the caller's thread
            errors.append(error)

    workers = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    except BaseException as error:
        errors.append(error)
        raise
    finally:
        for worker in workers:
            if worker.ident is not None:
                worker.join()
    if errors:
        raise errors[0]
