"""Prints one number of every random stream at each SIGUSR1, after it has drawn some of each before it says `ready`.

A second thread answers for the streams that OpenSSL keeps for each thread. What is not installed is left out.
"""

import ctypes
import ctypes.util
import json
import queue
import random
import secrets
import signal
import ssl
import sys
import tempfile
import threading
import uuid

libc = ctypes.CDLL(None)
libc.drand48.restype = ctypes.c_double
libcrypto = ctypes.CDLL(ctypes.util.find_library("crypto"))


class Subclass(random.Random):
    pass


class Holder:
    __slots__ = ("generator",)

    def __init__(self, generator):
        self.generator = generator


OWN = Holder(Subclass(7))
OPTIONAL = sys.argv[1].split(",") if len(sys.argv) > 1 else []


def of_openssl(function):
    buffer = ctypes.create_string_buffer(16)
    assert function(buffer, 16) == 1
    return buffer.raw.hex()


def of_python(local):
    return {
        "random": random.random(),
        "random.gauss": random.gauss(0, 1),
        "random.Random in a local variable": local.random(),
        "random.Random in an object": OWN.generator.random(),
        "OpenSSL": ssl.RAND_bytes(16).hex(),
        "OpenSSL, private": of_openssl(libcrypto.RAND_priv_bytes),
        "OpenSSL in another thread": ask_thread(lambda: ssl.RAND_bytes(16).hex()),
        "OpenSSL, private, in another thread": ask_thread(lambda: of_openssl(libcrypto.RAND_priv_bytes)),
        "tempfile": tempfile.mktemp(),
        "uuid1": str(uuid.uuid1()),
        "node of uuid1": uuid.uuid1().node,
        "uuid4": str(uuid.uuid4()),
        "secrets": secrets.token_hex(16),
        "rand": libc.rand(),
        "drand48": libc.drand48(),
    }


def of_cryptography():
    from cryptography.hazmat.primitives.asymmetric import ec, x25519

    return {
        "cryptography, EC": ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value,
        "cryptography, X25519": x25519.X25519PrivateKey.generate().private_bytes_raw().hex(),
    }


NUMPY = {}


def of_numpy():
    import numpy as np

    if not NUMPY:
        NUMPY["states"] = [np.random.RandomState(5), np.random.RandomState(np.random.Philox(3))]
        NUMPY["generators"] = [
            np.random.Generator(kind(11))
            for kind in (np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64, np.random.PCG64DXSM)
        ]
        NUMPY["sequences"] = np.random.PCG64(13)
    drawn = {"numpy": np.random.random(), "numpy, normal": np.random.normal()}
    for index, state in enumerate(NUMPY["states"]):
        drawn[f"RandomState {index}"] = state.randint(1 << 62)
        drawn[f"RandomState {index}, normal"] = state.normal()
    for generator in NUMPY["generators"]:
        name = type(generator.bit_generator).__name__
        drawn[name] = generator.random()
        drawn[f"{name}, 32 bits"] = int(generator.integers(1 << 32, dtype=np.uint32))
    drawn["spawned"] = np.random.Generator(type(NUMPY["sequences"])(NUMPY["sequences"].seed_seq.spawn(1)[0])).random()
    return drawn


TORCH = []


def of_torch():
    import torch

    if not TORCH:
        torch.manual_seed(1)
        TORCH.append(torch.Generator().manual_seed(2))
    return {
        "torch": torch.rand(1).item(),
        "torch, normal": torch.randn(1).item(),
        "torch.Generator": torch.rand(1, generator=TORCH[0]).item(),
    }


jobs, results = queue.Queue(), queue.Queue()


def ask_thread(job):
    jobs.put(job)
    return results.get()


def work():
    while True:
        results.put(jobs.get()())


def draw(local):
    drawn = of_python(local)
    for name in OPTIONAL:
        drawn |= globals()[f"of_{name}"]()
    return drawn


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    threading.Thread(target=work, daemon=True).start()
    local = random.Random(3)
    random.seed(1)
    draw(local)
    draw(local)
    print("ready", flush=True)
    while signal.sigwait({signal.SIGUSR1}):
        print(json.dumps(draw(local)), flush=True)


main()
