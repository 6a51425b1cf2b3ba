"""What must hold between the parts of the file. Works on raw values, so that one mistake does not hide another."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from glowplug.config.document import Document, Place, Plain
from glowplug.config.models import ReplicasConfig
from glowplug.config.suggest import remedy
from glowplug.config.validation import validate
from glowplug.scheduler.values import Tier

_BASES = (Tier.CACHED, Tier.COLD)
_TIERS = tuple(Tier)


def check(document: Document, engines: Mapping[str, type[BaseModel]]) -> None:
    """Note every contradiction between models, engines, names and tiers in the document."""
    root = _mapping(document.data)
    models = _mapping(root.get("models"))
    defaults = _mapping(root.get("defaults"))
    _check_tiers(document, ("defaults",), defaults, defaults.get("tiers"))
    taken = dict.fromkeys(models, "a model")
    for name, raw in models.items():
        model = _mapping(raw)
        place = ("models", name)
        _check_engine(document, place, model, engines)
        _check_aliases(document, place, model.get("aliases"), taken)
        _check_tiers(document, place, model, model.get("tiers", defaults.get("tiers")))
        _check_snapshot(document, place, model, model.get("tiers", defaults.get("tiers")))
        _check_replicas(document, place, _mapping(model.get("replicas")), _mapping(defaults.get("replicas")))


def _mapping(value: Plain) -> dict[str, Plain]:
    return value if isinstance(value, dict) else {}


def _entries(value: Plain) -> Iterator[tuple[int, str]]:
    for index, entry in enumerate(value if isinstance(value, list) else []):
        if isinstance(entry, str):
            yield index, entry


def _check_engine(
    document: Document, place: Place, model: dict[str, Plain], engines: Mapping[str, type[BaseModel]]
) -> None:
    engine = model.get("engine")
    if not isinstance(engine, str):
        return
    if engine not in engines:
        document.complain(document.value_at((*place, "engine")), f'unknown engine "{engine}"{remedy(engine, engines)}')
    elif isinstance(options := model.get("options", {}), dict):
        validate(document, engines[engine], options, (*place, "options"))


def _check_aliases(document: Document, place: Place, aliases: Plain, taken: dict[str, str]) -> None:
    for index, alias in _entries(aliases):
        if alias in taken:
            position = document.value_at((*place, "aliases", index))
            document.complain(position, f'the alias "{alias}" is already {taken[alias]}; choose another one')
        else:
            taken[alias] = f'an alias of "{place[-1]}"'


def _check_tiers(document: Document, place: Place, section: dict[str, Plain], tiers: Plain) -> None:
    """Check the tiers that `section` lists itself, and its keep-alive against the `tiers` that hold for it."""
    if not isinstance(tiers, list):
        return
    words = {str(tier) for tier in tiers}
    if "tiers" in section:
        position = document.value_at((*place, "tiers"))
        if Tier.RUNNING not in words:
            document.complain(position, "tiers must hold running, in which requests are answered; add it")
        if words.isdisjoint(_BASES):
            document.complain(position, "tiers must hold cached or cold, in which no process exists; add one of them")
        seen: set[str] = set()
        for index, tier in _entries(tiers):
            if tier in seen:
                position = document.value_at((*place, "tiers", index))
                document.complain(position, f'the tier "{tier}" is listed twice; remove one')
            seen.add(tier)
    for tier in _mapping(section.get("keep_alive")):
        if tier not in words and tier in _TIERS:
            position = document.key_at((*place, "keep_alive", tier))
            listed = ", ".join(known for known in _TIERS if known in words)
            document.complain(
                position, f'keep_alive names "{tier}", which is not among the tiers here ({listed}); remove it'
            )


def _check_snapshot(document: Document, place: Place, model: dict[str, Plain], tiers: Plain) -> None:
    """Check what the model itself says of its snapshot against the `tiers` that hold for it."""
    if not isinstance(tiers, list) or "snapshot" not in model:
        return
    listed, use = Tier.SNAPSHOT in tiers, model["snapshot"]
    if use == "always" and not listed:
        complaint = "snapshot is always, but snapshot is not among the tiers here; add it there or remove the line"
    elif use == "off" and listed and "tiers" in model:
        complaint = "snapshot is off, but snapshot is among the tiers here; remove one of them"
    else:
        return
    document.complain(document.value_at((*place, "snapshot")), complaint)


def _check_replicas(document: Document, place: Place, given: dict[str, Plain], defaults: dict[str, Plain]) -> None:
    """Check the limits that hold for a model if it gives any itself; those of `defaults` are checked as they are."""
    limits = given.keys() & {"min", "max"}
    merged = ReplicasConfig().model_dump() | defaults | given
    least, most = merged["min"], merged["max"]
    if not limits or not isinstance(least, int) or not isinstance(most, int) or least <= most:
        return
    reason = f"replicas.min ({least}) is larger than replicas.max ({most})"
    whole = f"{reason}; raise max" if len(limits) == 2 else f"with the defaults, {reason}; give both"
    document.complain(document.key_at((*place, "replicas")), whole)
