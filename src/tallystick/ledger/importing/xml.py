"""A small XML tree that knows its lines. No document type is accepted, so no entity can expand or reach for a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from tallystick.errors import Rejected

__all__ = ["Node", "parse_xml"]

DEPTH_MAX = 100


@dataclass(slots=True)
class Node:
    """An element: its local name, attributes, children, text and the line it starts on."""

    name: str
    attributes: dict[str, str]
    line: int
    children: list[Node] = field(default_factory=list)
    text: str = ""

    def all(self, path: str) -> Iterator[Node]:
        """Descendants along a path of local names (`NtryDtls/TxDtls`)."""
        first, _, rest = path.partition("/")
        for child in self.children:
            if child.name == first:
                if rest:
                    yield from child.all(rest)
                else:
                    yield child

    def find(self, *paths: str) -> Node | None:
        """The first element along the first path that leads to one."""
        return next((node for path in paths for node in self.all(path)), None)

    def value(self, *paths: str) -> str:
        """The text there, without surrounding space; empty if there is no such element."""
        node = self.find(*paths)
        return node.text.strip() if node else ""


def parse_xml(data: bytes) -> Node:
    """The root element; `Rejected` with line and column where the document is malformed or declares a type."""
    root = Node("", {}, 0)
    stack = [root]
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > DEPTH_MAX:
            raise Rejected("the document is nested too deeply", line=parser.CurrentLineNumber, expected=DEPTH_MAX)
        node = Node(name.rpartition(" ")[2], attributes, parser.CurrentLineNumber)
        stack[-1].children.append(node)
        stack.append(node)

    def end(_: str) -> None:
        stack.pop()

    def text(data: str) -> None:
        stack[-1].text += data

    def doctype(*_: object) -> None:
        raise Rejected("the document declares a type, which no statement needs", line=parser.CurrentLineNumber)

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)  # noqa: FBT003 (the C function takes no keyword)
    except expat.ExpatError as error:
        raise Rejected(f"not XML: {expat.ErrorString(error.code)}", line=error.lineno, column=error.offset) from None
    return root.children[0]
