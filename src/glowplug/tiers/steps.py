"""Doing to an engine what its adapter says, and asking it."""

from collections.abc import Iterable
from http import HTTPStatus

from glowplug.engines.base import Call, Step
from glowplug.tiers.base import Body, Host, TierError

_TIMEOUT = 60.0
"""Seconds for one step. vLLM moves 30 GB of weights between GPU and host in a few seconds; what takes longer hangs."""


async def ask(step: Step, address: str, host: Host, timeout: float) -> str | None:
    """None if the engine answered well within `timeout` seconds, else what it said instead."""
    try:
        if isinstance(step, Call):
            status, answer = await host.call(address, step, timeout)
            good = HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
            return None if good else f"{step.method} {step.path} was answered with {status}: {str(answer)[:300]}"
        code, output = await host.run(step.argv, timeout)
        return None if code == 0 else f"{step.argv[0]} exited with code {code}: {output[-300:]}"
    except TimeoutError:
        return f"nothing came back within {timeout:g} s"
    except OSError as error:
        return str(error)


async def perform(steps: Iterable[Step], body: Body, host: Host) -> None:
    """Take the steps in order. Raises TierError with the first one that fails."""
    for step in steps:
        if failure := await ask(step, body.address, host, _TIMEOUT):
            raise TierError(f"The engine did not do as it was told: {failure}")
