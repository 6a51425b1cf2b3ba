"""Settings of the whole server process."""

import gc
import resource

# A full collection over everything the imports left behind takes 30 ms, which every hundredth request would feel. What
# is there at the start stays; what requests leave behind is mostly freed by reference counting.
_YOUNG_OBJECTS = 20_000
_COLLECTIONS = (20, 100)
# Two for each stream: 50,000 streams, about as many as the memory of a small machine can hold (22 KiB each).
_OPEN_FILES = 110_000


def prepare_process() -> None:
    """Allow as many connections as the system lets us, and keep the garbage collector out of requests' way.

    To be called once, when everything is imported and built.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, _OPEN_FILES), max(hard, _OPEN_FILES)))
    except (ValueError, PermissionError):  # only root may raise the hard limit, and not everywhere
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *_COLLECTIONS)
