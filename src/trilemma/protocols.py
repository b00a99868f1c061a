"""The protocols by name: those of a workspace, and the suite's own."""

from __future__ import annotations

from pathlib import Path

from trilemma.errors import UserError, suggest
from trilemma.protocol import Protocol, load_protocol
from trilemma.published import check_published
from trilemma.workspace import Workspace, own_workspace


def protocols(workspace: Workspace) -> dict[str, Protocol]:
    """Returns the workspace's protocols by name, in alphabetical order."""
    return {path.stem: _named_protocol(path) for path in workspace.protocols}


def find_protocol(name: str, workspace: Workspace) -> Protocol:
    """Returns one protocol: by name, of the workspace or of the suite's own, or by the path of a TOML file."""
    if name.endswith(".toml"):
        return _checked(load_protocol(Path(name)), name)
    known = {path.stem: path for path in workspace.protocols}
    own = own_workspace(workspace.root)
    others = {path.stem: path for path in own.protocols} if own is not None else {}
    path = known.get(name, others.get(name))
    if path is None:
        raise UserError(f'there is no protocol "{name}".', hint=suggest(name, known))
    return _named_protocol(path)


def _named_protocol(path: Path) -> Protocol:
    protocol = load_protocol(path)
    if protocol.name != path.stem:
        raise UserError(f'the protocol says "{protocol.name}", its file "{path.stem}".', where=str(path))
    return _checked(protocol, str(path))


def _checked(protocol: Protocol, where: str) -> Protocol:
    """Returns the protocol; raises UserError where it names published numbers that there are none of."""
    comparable = protocol.comparable
    if comparable is None or comparable.table is None or comparable.protocol is None:
        return protocol
    try:
        check_published(comparable.table, comparable.protocol)
    except UserError as error:
        raise UserError(error.what, where=f"{where}: comparable: {error.where}", hint=error.hint) from None
    return protocol
