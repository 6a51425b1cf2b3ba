"""A YAML file as plain values, each with its place in the file, so that every later complaint can name it.

Files are read defensively: a bounded size, depth and number of values (aliases are copied out, so a small file could
otherwise stand for billions of values), no tags, no duplicate keys. Merge keys (`<<`) work as in YAML 1.1.
"""

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml
from yaml.composer import ComposerError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from glowplug.config.errors import ConfigError, Position, Problem
from glowplug.config.scalars import ScalarError, fill_in, read_plain, require_usable

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
Place: TypeAlias = tuple[str | int, ...]

# Far above any real file (a model takes some 20 values), far below what would occupy the machine.
_MAX_BYTES = 1024**2
_MAX_DEPTH = 40
_MAX_VALUES = 100_000

_PLAIN_TAG = "plain"  # an unquoted scalar, to be read once `${NAME}` is filled in
_TAGS: dict[type[Node], str] = {
    ScalarNode: "tag:yaml.org,2002:str",
    SequenceNode: "tag:yaml.org,2002:seq",
    MappingNode: "tag:yaml.org,2002:map",
}


@dataclass(slots=True)
class Document:
    """The content of a file. Keys are the text as written, whatever it looks like.

    `texts` holds the text of every single value as it was written, after filling in the environment. `unreadable` are
    the places whose value is None only because it could not be read, which is noted already.
    """

    file: str
    data: Plain = None
    problems: list[Problem] = field(default_factory=lambda: list[Problem]())
    texts: dict[Place, str] = field(default_factory=lambda: dict[Place, str]())
    unreadable: set[Place] = field(default_factory=lambda: set[Place]())
    values: dict[Place, Position] = field(default_factory=lambda: dict[Place, Position]())
    keys: dict[Place, Position] = field(default_factory=lambda: dict[Place, Position]())

    def value_at(self, place: Place) -> Position:
        """Where the value at `place` begins, or else what is nearest around it."""
        return self.values[place] if place in self.values else self.key_at(place[:-1])

    def key_at(self, place: Place) -> Position:
        """Where the key of the value at `place` stands, or else what is nearest around it."""
        while place:
            if found := self.keys.get(place) or self.values.get(place):
                return found
            place = place[:-1]
        return self.values.get((), Position(1, 1))

    def complain(self, position: Position, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(self.file, position, message))


def read_document(path: Path, environment: Mapping[str, str], *, missing: str) -> Document:
    """Read and parse a file. Problems that leave the rest readable are noted in the document.

    Args:
        path: the file.
        environment: variables for `${NAME}`.
        missing: what to do if there is no such file, for the error message.

    Raises:
        ConfigError: there is nothing to go on with: no such file, no text, no YAML.
    """
    document = Document(str(path))
    text = _read_text(path, missing)
    node = _compose(document.file, text)
    if node is not None:
        _Builder(document, environment).build(node)
    return document


def _compose(file: str, text: str) -> Node | None:
    try:
        loader = _Composer(text)
    except yaml.reader.ReaderError as error:
        message = f"the character U+{error.character:04X} is not allowed in YAML; remove it"
        raise ConfigError([Problem(file, _place_in(text, error.position), message)]) from None
    try:
        return loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError([Problem(file, _position(mark) if mark else None, _syntax_error(error, text))]) from None
    except (ValueError, OverflowError):
        # PyYAML lets these through: the escape "\\UFFFFFFFF" is no character, and numbers in %YAML have no end.
        place = _position(loader.get_mark())
        raise ConfigError([Problem(file, place, "this is not valid YAML; check the escapes here")]) from None


def _read_text(path: Path, missing: str) -> str:
    def fail(message: str) -> ConfigError:
        return ConfigError([Problem(str(path), None, message)])

    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        raise fail(f"there is no such file; {missing}") from None
    except IsADirectoryError:
        raise fail("this is a directory; name the file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise fail(f"the file cannot be read ({reason}); check its path and permissions") from None
    if len(raw) > _MAX_BYTES:
        raise fail("the file is larger than 1 MiB; is it the right one?")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place_in(error.object[: error.start].decode("utf-8", "replace"), None)
        raise ConfigError([Problem(str(path), place, "this is not UTF-8 text; save the file as UTF-8")]) from None


def _place_in(text: str, index: int | None) -> Position:
    before = text[:index].replace("\r\n", "\n").replace("\r", "\n")
    return Position(before.count("\n") + 1, len(before) - before.rfind("\n"))


def _position(mark: yaml.error.Mark) -> Position:
    return Position(mark.line + 1, mark.column + 1)


def _syntax_error(error: yaml.MarkedYAMLError, text: str) -> str:
    problem = str(error.problem or error.context)
    mark = error.problem_mark or error.context_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if problem.startswith(_TOO_DEEP):
        return problem
    if "'\\t'" in problem:
        return "YAML does not allow a tab here; indent with spaces"
    if "${" in line:
        return f"this is not valid YAML ({problem}); inside {{ }} and [ ], put ${{NAME}} in quotes"
    return f"this is not valid YAML: {problem}"


_TOO_DEEP = f"values are nested more than {_MAX_DEPTH} levels deep; flatten them"


class _Composer(yaml.SafeLoader):
    """PyYAML's composer, with bounded depth and with the type of unquoted scalars left open."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self._depth > _MAX_DEPTH:
            raise ComposerError(problem=_TOO_DEEP, problem_mark=self.get_mark())
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def resolve(self, kind: type[Node], value: str | None, implicit: object) -> str:
        if kind is ScalarNode and isinstance(implicit, tuple) and implicit[0]:
            return _PLAIN_TAG
        return _TAGS[kind]


class _Refused(Exception):
    """The file as a whole is not to be built."""

    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.node = node


class _Builder:
    """Turns nodes into plain values and notes where each one stands."""

    def __init__(self, document: Document, environment: Mapping[str, str]) -> None:
        self._document = document
        self._environment = environment
        self._around: list[Node] = []
        self._count = 0

    def build(self, root: Node) -> None:
        try:
            self._document.data = self._value(root, ())
        except _Refused as refused:
            raise ConfigError([Problem(self._document.file, _start(refused.node), str(refused))]) from None

    def _complain(self, node: Node, message: str) -> None:
        self._document.complain(_start(node), message)

    @contextmanager
    def _inside(self, node: Node) -> Generator[None]:
        self._count += 1
        if self._count > _MAX_VALUES:
            raise _Refused(node, f"aliases make the file stand for more than {_MAX_VALUES:,} values; use fewer of them")
        if any(node is outer for outer in self._around):
            raise _Refused(node, "this value contains itself through an alias; write it out")
        if len(self._around) > _MAX_DEPTH:
            raise _Refused(node, _TOO_DEEP)
        self._around.append(node)
        yield
        self._around.pop()

    def _value(self, node: Node, place: Place) -> Plain:
        with self._inside(node):
            self._document.values[place] = _start(node)
            if node.tag not in (_PLAIN_TAG, _TAGS[type(node)]):
                tag = node.tag.replace("tag:yaml.org,2002:", "!!")
                self._document.unreadable.add(place)
                self._complain(node, f"the tag {tag} is not supported; write the value without it")
                return None
            if isinstance(node, MappingNode):
                return self._mapping(node, place)
            if isinstance(node, ScalarNode):
                return self._scalar(node, place)
            return [self._value(child, (*place, index)) for index, child in enumerate(node.value)]

    def _scalar(self, node: ScalarNode, place: Place) -> Plain:
        try:
            text = fill_in(node.value, self._environment)
            value = read_plain(text) if node.tag == _PLAIN_TAG else text
            require_usable(text)
        except ScalarError as error:
            self._document.unreadable.add(place)
            self._complain(node, str(error))
            return None
        self._document.texts[place] = text
        return value

    def _mapping(self, node: MappingNode, place: Place) -> dict[str, Plain]:
        values: dict[str, Plain] = {}
        for name, (key, value) in self._pairs(node).items():
            self._document.keys[(*place, name)] = _start(key)
            values[name] = self._value(value, (*place, name))
        return values

    def _pairs(self, node: MappingNode) -> dict[str, tuple[Node, Node]]:
        """Key and value nodes by key. What the mapping says itself goes before what it merges in."""
        pairs: dict[str, tuple[Node, Node]] = {}
        merged: list[Node] = []
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._complain(key, "a key must be a single word; remove the brackets or put it in quotes")
            elif key.tag == _PLAIN_TAG and key.value == "<<":
                merged.append(value)
            elif key.value in pairs:
                earlier = _start(pairs[key.value][0]).line
                self._complain(key, f'the key "{key.value}" is already there in line {earlier}; remove one of them')
            else:
                try:
                    require_usable(key.value)
                    pairs[key.value] = key, value
                except ScalarError as error:
                    self._complain(key, str(error))
        for source in self._sources(merged):
            with self._inside(source):
                pairs = self._pairs(source) | pairs
        return pairs

    def _sources(self, merged: list[Node]) -> Iterator[MappingNode]:
        for value in merged:
            for source in value.value if isinstance(value, SequenceNode) else [value]:
                if isinstance(source, MappingNode):
                    yield source
                else:
                    self._complain(source, "<< takes a mapping or a list of mappings, such as *name of an &name above")


def _start(node: Node) -> Position:
    return _position(node.start_mark)
