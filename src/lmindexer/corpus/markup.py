"""HTML in catalogues: tags dropped, entities undone, what no reader sees (scripts, styles) left out."""

import html
import re

_TAGS = (
    "a|abbr|address|article|aside|b|big|blockquote|body|br|button|caption|center|cite|code|col|dd|del|div|dl|dt|em|"
    "embed|figcaption|figure|font|footer|form|frame|h[1-6]|head|header|hr|html|i|iframe|img|input|ins|kbd|label|li|"
    "link|main|meta|nav|object|ol|option|p|param|pre|q|s|samp|script|section|select|small|span|strike|strong|style|"
    "sub|sup|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|tt|u|ul|video|audio|source|wbr"
)
_HIDDEN = re.compile(r"<(script|style)\b[^<>]*>.*?</\1\s*>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_RULE = re.compile(r"(?:^|(?<=[\s}>]))[.#][A-Za-z][\w-]*[\w\s.#,:>-]*\{[^{}]*:[^{}]*\}")  # of a style sheet
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")


def without_markup(text: str) -> str:
    """The text that a browser would show: "<p>Salt &amp; pepper</p>" is " Salt & pepper "."""
    if "<" in text:
        text = _TAG.sub(" ", _HIDDEN.sub(" ", text))
    if "{" in text:
        text = _RULE.sub(" ", text)
    if "&" in text:
        text = _ENTITY.sub(lambda entity: html.unescape(entity.group()), text)
    return text
