"""The page of the service: one HTML file that asks nobody but the service."""

from functools import cache
from importlib.resources import files

from lmindexer.explore.page import ASSETS as EXPLORE
from lmindexer.explore.page import csp_hash, filled, script_of

ASSETS = files("lmindexer.serving") / "assets"
STYLES = (EXPLORE / "base.css", ASSETS / "page.css")
# of the page of explore
DRAWN = ("data.js", "labels.js", "layout.js", "drawing.js", "picture.js", "elements.js", "heading.js", "tip.js")
SCRIPTS = ("service.js", "results.js", "tree.js", "why.js", "page.js")


@cache
def page() -> tuple[str, str]:
    """The page, and the Content-Security-Policy that lets its own script and style alone run."""
    script = script_of([*(EXPLORE / name for name in DRAWN), *(ASSETS / name for name in SCRIPTS)])
    style = "".join(path.read_text(encoding="utf-8") for path in STYLES)
    policy = (
        f"default-src 'none'; script-src '{csp_hash(script)}'; style-src '{csp_hash(style)}'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    template = (ASSETS / "page.html").read_text(encoding="utf-8")
    return filled(template, {"STYLE": style, "SCRIPT": script}), policy
