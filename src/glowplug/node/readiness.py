"""Whether an engine really answers: the canary."""

import asyncio
from http import HTTPStatus

from glowplug.engines.base import CanaryAnswer
from glowplug.engines.canary import compare
from glowplug.tiers.base import Body, Host, TierError

_PAUSE = 0.02
_LONGEST_ANSWER = 120.0
"""Seconds for one canary. The first answer of a fresh engine may compile kernels; what bounds it as a whole is the
time limit of the wake."""


async def prove_fresh(body: Body, host: Host) -> None:
    """Get the first answer of an engine that was just started and remember it.

    An engine that says "not yet" (503), or drops the connection, is asked again.

    Raises:
        TierError: it answers, but not with a completion.
    """
    while True:
        try:
            status, answer = await _ask(body, host)
        except (OSError, TimeoutError):
            status, answer = HTTPStatus.SERVICE_UNAVAILABLE, None
        if status != HTTPStatus.SERVICE_UNAVAILABLE:
            body.canary = _read(body, status, answer)
            return
        await asyncio.sleep(_PAUSE)


async def prove_same(body: Body, host: Host) -> None:
    """Ask an engine that was brought back and compare with what it answered before. Raises TierError."""
    seen = await prove(body, host)
    if body.canary is None:
        raise TierError("Nothing is known of what the engine answered before its rest.")
    if difference := compare(body.canary, seen):
        raise TierError(f"The engine does not answer as it did before its rest: {difference}.")


async def prove(body: Body, host: Host) -> CanaryAnswer:
    """Get one answer. Raises TierError if there is none or it is no completion."""
    try:
        status, answer = await _ask(body, host)
    except (OSError, TimeoutError) as error:
        raise TierError(f"The engine did not answer the canary: {error or 'no answer in time'}.") from error
    return _read(body, status, answer)


async def _ask(body: Body, host: Host) -> tuple[int, object]:
    return await host.call(body.address, body.engine.canary(body.model_name, body.model), _LONGEST_ANSWER)


def _read(body: Body, status: int, answer: object) -> CanaryAnswer:
    if status != HTTPStatus.OK:
        raise TierError(f"The engine answered the canary with status {status}: {str(answer)[:300]}")
    try:
        return body.engine.read_canary(answer)
    except ValueError as error:
        raise TierError(f"The engine answered the canary with something else than a completion: {error}.") from error
