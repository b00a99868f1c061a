"""The command line: one thin file per verb. Exit codes: 0 done, 1 something failed, 2 a user's error, 130 Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code. Verbs that take no part are not imported."""
    from trilemma.cli.app import app
    from trilemma.errors import UserError

    try:
        app(arguments, prog_name="trilemma")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return 130
    return 0
