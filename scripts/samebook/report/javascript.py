"""Data as a script: a page that is opened from disk may load scripts beside it, and nothing else."""

import json
import re
from typing import Any

from samebook.core.digest import sha256

PROTOTYPE = re.compile(r'(?<=[{,])"__proto__":')


def script(name: str, value: Any) -> bytes:
    """The script that hands `value` to the page under a name.

    Only ASCII, and no `<`: no text in it can end the script, or begin markup, wherever it may be put.
    """
    return f"samebook.add({_literal(name)}, {_literal(value)});\n".encode()


def _literal(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    # To JavaScript, that key alone would be the object's prototype. No text has a quotation mark that is not escaped.
    text = PROTOTYPE.sub('["__proto__"]:', text)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def file_name(name: str) -> str:
    """The name of the file for a run, or for something else whose name is its author's choice."""
    return sha256(name.encode(errors="surrogateescape"))[:20]
