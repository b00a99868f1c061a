"""What the page carries inside itself: scripts with their digests, and data that no parser takes for anything else."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup

_STATIC = Path(__file__).parent / "static"
VEGA = "vega"
"""The name of the library behind the charts; every other name is a file of ours."""
# In JSON these occur in strings only, where an escape means the same; so no text can close the element that holds it.
_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}


@cache
def source(name: str) -> str:
    """Returns a script or style sheet as it stands on the page: Vega, Vega-Lite and vega-embed, or a file of ours."""
    text = _vega() if name == VEGA else (_STATIC / name).read_text(encoding="utf-8")
    assert "</script" not in text.lower() and "<!--" not in text, f"{name} would end its own element"
    return text


def policy(styles: Iterable[str], scripts: Iterable[str], *, files: bool) -> str:
    """Returns the Content-Security-Policy that allows exactly these texts, and pictures inside the page.

    Args:
        files: whether pictures that lie beside the page are allowed too: "'self'" names them on a server, and "file:"
            where the page is opened from disk and has no origin.
    """
    allowed = {"script-src": " ".join(map(digest, scripts)), "style-src": " ".join(map(digest, styles))}
    sources = [f"{kind} {digests}" for kind, digests in allowed.items() if digests]
    pictures = "img-src data: 'self' file:" if files else "img-src data:"
    return "; ".join(["default-src 'none'", pictures, *sources, "base-uri 'none'", "form-action 'none'"])


def digest(text: str) -> str:
    """Returns a text's sha256 as a policy writes it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def as_json(value: Any) -> Markup:
    """Returns JSON for a ``<script type="application/json">``; NaN is our own mistake and raises ValueError."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))  # nothing of it can be markup any more


def _vega() -> str:
    import vl_convert

    # It takes seconds, hence the cache; the digest in the policy is taken over what is put in.
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
