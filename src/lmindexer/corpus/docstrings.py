"""What a docstring says in prose, without the markup, signatures, tables and examples around it."""

import inspect
import re

LONGEST = 600  # characters
SHORTEST = 40  # characters
FEWEST = 6  # words

_SECTION = re.compile(  # a heading that ends the prose: "Parameters", "Args:", ":param x:", "Copyright ..."
    r"""(?ix) ^(
      [:@](param|parameter|arg|type|returns?|rtype|raises?|keyword|[ic]?var|meta|seealso)\b.*
    | [\#*\s]* ((other|keyword|return|example|see|side)\s)?
      (param(eter)?s? | arg(ument)?s? | kwargs | options | inputs? | outputs? | returns? | values? | yields?
      | raises? | warns? | attributes? | methods? | functions? | classes | examples? | usage | also
      | references? | notes? | effects | shape | constraints | where | syntax | explanation | contents
      | todo) \s*[*:]+
    | (other\s)?parameters | arguments | args | returns | yields | raises | attributes | methods | functions
      | classes | examples? | see\salso | references | notes? | explanation | usage | syntax | contents
    | (copyright | \(c\) | licen[sc]e | authors? | \$id | written\sby | version:)\b.*
    | [`*]* \w+ [`*]* (\s:\s\S.* | \s\(.*\)\s*:.*)                  # one parameter: "x : int", "x (int): ..."
    )$"""
)
_UNDERLINE = re.compile(r"^\s*([=\-~^\"'`*#+.:_])\1{2,}\s*$")
_DIRECTIVE = re.compile(r"^\s*(\.\.(\s|$)|@\w+|:\w+:\s*$|<!--|</?\w+>\s*$|```|\s*\$\$)")
_TABLE = re.compile(r"^\s*([|+].*[|+]\s*$|[=\-]{3,}(\s+[=\-]{3,})+)")
_SIGNATURE = re.compile(r"^[\w.\[\]]+\(.*\)\s*(->.*)?\.?$|^\w[\w.]*\(.*(->.*|\)\s*:?$)")
_CODE = re.compile(
    r"^\s*(>>>|\.\.\.\s|\$ |[\w.]+(, [\w.]+)*\s*=\s*\S|\(.*\) = "
    r"|assert |import |from [\w.]+ import |python -|pip )"
)

_MARKUP: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"`\.(?=\w)", "`"),  # `.Artist`
        (r"!?\[`?~?([^\]`]+)`?\]\([^)]*\)", r"\1"),  # [text](url)
        (r"\[`~?([^\]`]+)`\]", r"\1"),  # [`Class`]
        (r":math:`[^`]*`|\$[^$]{1,80}\$|\\[a-zA-Z]+\{[^}]*\}", " "),
        (r":[\w:+-]+:`([^`<]+?)\s*<[^`>]*>`", r"\1"),  # :ref:`text <target>`
        (r":[\w:+-]+:`~(?:[\w]+\.)*(\w+)`", r"\1"),  # :class:`~torch.Tensor`
        (r":[\w:+-]+:`!?([^`]*)`", r"\1"),
        (r"`([^`<]+?)\s*<[^`>]*>`__?", r"\1"),  # `text <url>`_
        (r"\s*<?https?://[^\s>)]*>?", ""),
        (r"\[\w+\]_|\|\w+\|", ""),  # [1]_ and |substitution|
        (r"</?[a-zA-Z]+(\s[^<>]*)?/?>", " "),
        (r"[<(]?[\w.]+@[\w.]+\.\w+[>)]?", ""),  # a mail address
        (r"Read more in the [^.]*\.", ""),
        (r"::(?=\s|$)", ":"),
        (r"`+_*|\\", ""),
        (r"\*\*(\S.*?\S|\S)\*\*", r"\1"),
        (r"(?<![\w*])\*(\w[^*]*?)\*(?![\w*])", r"\1"),
        (r"\(\s*\)|\[\s*\]|%\([\w:.]+\)s", " "),
    )
)
_WORD = re.compile(r"[A-Za-z][a-z]*(?:['-][a-z]+)?")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def prose(docstring: str) -> str:
    """The summary and first paragraphs in one line of at most `LONGEST` characters; "" if too little."""
    text = " ".join(_prose_lines(inspect.cleandoc(docstring)))
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    text = _shortened(re.sub(r"\s+([.,;:)])(?=\s|$)", r"\1", " ".join(text.split()))).strip("*-#:; ")
    words = _WORD.findall(text)
    wordy = sum(map(len, words)) >= 0.6 * len(text)
    return text if wordy and len(text) >= SHORTEST and len(words) >= FEWEST else ""


def readable_name(name: str) -> str:
    """`json.decoder.JSONDecoder.raw_decode` -> `json decoder JSON Decoder raw decode`."""
    return " ".join(_CAMEL.sub(" ", re.sub(r"[._]+", " ", name)).split())


def _prose_lines(docstring: str) -> list[str]:
    """The lines before the first section, less code, tables, directives and what is indented below."""
    kept: list[str] = []
    block: int | None = None  # the indentation of the directive we are in
    doctest = False  # a prompt's output ends with a blank line
    previous = ""
    for line in docstring.splitlines():
        indent = len(line) - len(line.lstrip())
        stripped = line.strip()
        if block is not None and (not stripped or indent > block):
            continue
        block = None
        doctest = bool(stripped) and (doctest or stripped.startswith(">>>"))
        heading = _SECTION.match(stripped)
        if heading and kept:
            break
        if heading or _DIRECTIVE.match(line):
            block = indent
        elif _UNDERLINE.match(line):
            if kept and kept[-1][-1].isalnum():
                kept[-1] += "."  # a title
        elif indent >= 4 and not previous:
            block = indent - 1  # a literal block
        elif doctest or _TABLE.match(line) or _CODE.match(line) or (_SIGNATURE.match(stripped) and not kept):
            pass
        elif stripped:
            kept.append(stripped)
        elif kept and kept[-1][-1].isalnum():
            kept[-1] += "."  # a paragraph
        previous = stripped
    return kept


def _shortened(text: str) -> str:
    """Cut after the last sentence that fits, or else after the last word."""
    if len(text) <= LONGEST:
        return text
    head = text[:LONGEST]
    sentence = max(head.rfind(end) for end in (". ", "! ", "? "))
    return head[: sentence + 1] if sentence >= LONGEST // 3 else head.rpartition(" ")[0]
