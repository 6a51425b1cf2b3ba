"""Holding a document against a pydantic model, with every complaint at its place in the file."""

import json
from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from glowplug.config.document import Document, Place, Plain
from glowplug.config.errors import Position
from glowplug.config.messages import is_choice, sentence
from glowplug.config.suggest import remedy

# What pydantic converts silently unless it is strict. Its strictness about anything else is of no use: it also refuses
# what a model's own validators have made, such as a list where the field is a tuple.
_GUESSED = ("bool_type", "int_type", "float_type")

Shape = TypeVar("Shape", bound=BaseModel)


def validate(document: Document, shape: type[Shape], data: Plain, below: Place = ()) -> Shape | None:
    """`data`, which stands at the place `below`, as a `shape`; or None, with every problem noted in the document.

    Numbers and truth values are taken as written: `port: "8000"`, `port: true` and `pin: 1` are problems, not guesses.
    """
    text = json.dumps(data)
    guessed = [error for error in _errors(shape, text, strict=True) if error["type"] in _GUESSED]
    errors = guessed + _errors(shape, text, strict=False)
    if not errors:
        return shape.model_validate_json(text)
    found = [(*_locate(data, error), error) for error in errors]
    # A value may have alternatives ("auto" or a mapping); an error further inside shows which one was meant.
    outer = {place[:length] for place, _, _ in found for length in range(len(place))}
    by_place: dict[tuple[Place, bool], list[ErrorDetails]] = {}
    for place, of_key, details in found:
        if not (place in outer and is_choice(details)) and (*below, *place) not in document.unreadable:
            by_place.setdefault((place, of_key), []).append(details)
    for (place, of_key), errors in by_place.items():
        document.complain(*_complaint(document, shape, below, place, of_key, errors))
    return None


def _errors(shape: type[BaseModel], text: str, *, strict: bool) -> list[ErrorDetails]:
    try:
        shape.model_validate_json(text, strict=strict)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _complaint(
    document: Document, shape: type[BaseModel], below: Place, place: Place, of_key: bool, errors: list[ErrorDetails]
) -> tuple[Position, str]:
    whole = (*below, *place)
    words = [part for part in whole if isinstance(part, str)] or ["the file"]
    name = words[-1]
    kind = errors[0]["type"]
    if kind == "missing":
        if isinstance(whole[-1], int):
            return document.value_at(whole[:-1]), f'"{name}" needs one more entry; add it'
        target = f' to "{words[-2]}"' if words[:-1] else ""
        return document.key_at(whole[:-1]), f'"{name}" is missing; add it{target}'
    if kind == "extra_forbidden":
        return document.key_at(whole), f'unknown key "{name}"{remedy(name, _keys_in(shape, place[:-1]))}'
    if of_key or isinstance(errors[0]["input"], dict):
        return document.key_at(whole), sentence(name, errors)
    return document.value_at(whole), sentence(name, errors)


def _locate(root: Plain, details: ErrorDetails) -> tuple[Place, bool]:
    """The place that pydantic means, without its own remarks on unions, and whether it means the key there."""
    place: Place = ()
    data = root
    for part in details["loc"]:
        match data, part:
            case dict(), str() if part in data:
                data = data[part]
            case list(), int() if part < len(data):
                data = data[part]
            case _ if details["type"] == "missing" and part is details["loc"][-1]:
                pass
            case _:
                continue
        place = (*place, part)
    return place, details["loc"][-1:] == ("[key]",)


def _keys_in(shape: type[BaseModel], place: Place) -> set[str]:
    """The keys that the models at `place` inside `shape` know."""
    shapes: list[Any] = [shape]
    for part in place:
        shapes = [inner for outer in shapes for inner in _inside(outer, part)]
    return {
        field.alias or name
        for shape in shapes
        if isinstance(shape, type) and issubclass(shape, BaseModel)
        for name, field in shape.model_fields.items()
    }


def _inside(annotation: Any, part: str | int) -> Iterator[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field for name, field in annotation.model_fields.items()}
        if part in fields:
            yield from _alternatives(fields[str(part)].annotation)
    elif get_origin(annotation) is dict:
        yield from _alternatives(get_args(annotation)[1])
    else:
        for inner in get_args(annotation):
            yield from _alternatives(inner)


def _alternatives(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, UnionType):
        for alternative in get_args(annotation):
            yield from _alternatives(alternative)
    elif get_origin(annotation) is Annotated:
        yield from _alternatives(get_args(annotation)[0])
    elif annotation not in (NoneType, Ellipsis):
        yield annotation
