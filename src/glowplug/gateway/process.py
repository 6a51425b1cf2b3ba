"""Settings of the whole server process."""

import gc
import resource

# A full collection over everything the imports left behind takes 30 ms, which every hundredth request would feel. What
# is there at the start stays; what requests leave behind is mostly freed by reference counting.
_YOUNG_OBJECTS = 20_000
_COLLECTIONS = (20, 100)


def prepare_process() -> None:
    """Allow as many connections as the system lets us, and keep the garbage collector out of requests' way.

    To be called once, when everything is imported and built.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *_COLLECTIONS)
