"""The policies by name. A new one is a file beside this one and a line here."""

from collections.abc import Callable, Mapping

from glowplug.scheduler.policies.base import Policy
from glowplug.scheduler.policies.fixed import FixedPolicy

POLICIES: Mapping[str, Callable[[], Policy]] = {"fixed": FixedPolicy}
