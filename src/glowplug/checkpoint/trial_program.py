"""The small process that `trial.py` dumps and restores: it holds one of each thing that engines hold.

It says `ready`, waits for SIGUSR1, looks whether everything is as it was, and says `whole` or what is not. Standard
library only, run by itself.
"""

import mmap
import os
import queue
import signal
import socket
import threading

_SECRET = b"glowplug" * 512


def main() -> None:
    """Hold, wait, look."""
    signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGUSR1}
    )  # before the thread begins, which then has it blocked too
    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    server, _ = listener.accept()
    client.sendall(b"before")

    reading, writing = os.pipe()
    os.write(writing, b"in the pipe")

    asked: queue.Queue[int] = queue.Queue()
    answered: queue.Queue[int] = queue.Queue()
    threading.Thread(target=lambda: answered.put(asked.get() + 1), daemon=True).start()

    with open("/dev/shm/glowplug-trial", "w+b") as file:  # noqa: PTH123, S108
        file.write(_SECRET)
        file.flush()
        shared = mmap.mmap(file.fileno(), len(_SECRET))

    print("ready", flush=True)
    signal.sigwait({signal.SIGUSR1})

    server.settimeout(5)
    listener.settimeout(5)
    asked.put(41)
    with socket.create_connection(listener.getsockname(), timeout=5):
        listener.accept()
    found = {
        "the TCP connection": server.recv(100) == b"before",
        "the pipe": os.read(reading, 100) == b"in the pipe",
        "the thread": answered.get(timeout=5) == 42,
        "the file in /dev/shm": shared[:] == _SECRET and os.path.getsize("/dev/shm/glowplug-trial") == len(_SECRET),  # noqa: PTH202, S108
    }
    lost = [name for name, whole in found.items() if not whole]
    print(f"lost {', '.join(lost)}" if lost else "whole", flush=True)


if __name__ == "__main__":
    main()
