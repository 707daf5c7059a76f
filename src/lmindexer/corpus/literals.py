"""Python literals in data: records that were written with str(), and lists inside a cell of text.

Nothing is ever evaluated: `ast.literal_eval` for records, a small reader of quoted strings for lists; both bounded.
"""

import ast
import re
from typing import Any

LONGEST = 2**20  # characters; what is longer is not looked at
DEEPEST = 50  # brackets inside one another

_STRING = re.compile(r"""[uUbB]?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
_WORD = re.compile(r"[\w.+-]+")
_BETWEEN = re.compile(r"[\s,]+")
_MISSING = {"None", "null", "nan", "NaN"}


def python_record(line: str) -> dict[str, Any] | None:
    """A dictionary written as Python writes it, as Amazon's and Steam's files of 2014 are; None if it is none."""
    if not line.startswith("{") or len(line) > LONGEST:
        return None
    try:
        value = ast.literal_eval(line)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # Python's parser bounds the depth
        return None
    return {str(name): part for name, part in value.items()} if isinstance(value, dict) else None


def list_in(text: str) -> list[Any] | None:
    """The list that a cell like "['Toys', 'kite']" holds, as Python, JSON or numpy print it; else None.

    It holds a quoted string, or nothing at all: "[S4Z17]" is no list.
    """
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")) or len(text) > LONGEST:
        return None
    if "'" not in text and '"' not in text and text[1:-1].strip():
        return None
    stack: list[list[Any]] = [[]]
    at = 0
    while at < len(text):
        char = text[at]
        if char == "[":
            stack.append([])
            at += 1
        elif char == "]":
            if len(stack) < 2 or (len(stack) == 2 and at < len(text) - 1):
                return None
            done = stack.pop()
            stack[-1].append(done)
            at += 1
        elif between := _BETWEEN.match(text, at):
            at = between.end()
        elif quoted := _STRING.match(text, at):
            try:
                stack[-1].append(str(ast.literal_eval(quoted.group().lstrip("uUbB"))))
            except (ValueError, SyntaxError):
                return None
            at = quoted.end()
        elif word := _WORD.match(text, at):
            stack[-1].append(None if word.group() in _MISSING else word.group())
            at = word.end()
        else:
            return None
        if len(stack) > DEEPEST:
            return None
    return stack[0][0] if len(stack) == 1 and len(stack[0]) == 1 else None
