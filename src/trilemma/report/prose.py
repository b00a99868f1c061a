"""The report's sentences, made from the record: what ran, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trilemma.metrics.catalog import DISTANCES
from trilemma.protocol import SCENES
from trilemma.report import comparable
from trilemma.report.names import brief
from trilemma.report.numbers import count

if TYPE_CHECKING:
    from trilemma.report.record import Run


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """A warning that stands over the whole report."""

    title: str
    text: str


def protocol_title(run: Run) -> str:
    """Returns the protocol's title, or its name."""
    protocol = _protocol(run)
    return str(protocol.get("title") or protocol.get("name") or "unnamed protocol")


def statement(run: Run) -> str:
    """Returns what ran: models, protocol, images of each set, reference, seed, machine and time."""
    protocol = _protocol(run)
    sentences = [
        f"{_contestants(run)} ran the protocol {protocol.get('name', '(unnamed)')}{_version(protocol)}{_sets(run)}.",
        _reference(run),
        comparable.sentence(run),
        f"Seed {run.record.spec.get('seed', 'not recorded')}; models share prompts and noise, image by image.",
        f"Machine: {machine(run)}.",
        _duration(run),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def data_of(run: Run) -> str:
    """Returns the name of the data set that the run was over."""
    return str(_protocol(run).get("data", SCENES))


def _contestants(run: Run) -> str:
    if run.is_sweep:
        return f"{some(len(run.models), 'setting')} of {some(len(run.record.spec['sweep']), 'model')}"
    controls = sum(run.is_control(model) for model in run.models)
    return f"{some(len(run.models) - controls, 'model')} and {some(controls, 'control')}"


def _duration(run: Run) -> str:
    ended = f"ended {_moment(run.record.ended)}" if run.record.ended else "no end was recorded"
    return f"Started {_moment(run.record.created)}, {ended}."


def _moment(stamp: str) -> str:
    """Returns an ISO 8601 time as people write it, in UTC; anything else as it is."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if moment.tzinfo else stamp


def machine(run: Run) -> str:
    """Returns the machine: accelerator if one was used, processor, memory, torch; or that nothing was recorded."""
    host, classes = run.record.host, [_hardware(keys) for keys in run.record.keys.values()]
    parts = list(dict.fromkeys(_accelerator(fields) for fields in classes))
    cores = f"{some(host['cores'], 'core')} of " if host.get("cores") else ""
    parts.append(f"{cores}{host['cpu']}" if host.get("cpu") else "")
    parts.append(f"{host['memory_gib']} GiB of memory" if host.get("memory_gib") else "")
    parts += dict.fromkeys(f"torch {fields['torch']}" for fields in classes if fields.get("torch"))
    return ", ".join(part for part in parts if part) or "not recorded"


def stamps(run: Run) -> list[Stamp]:
    """Returns the warnings that a reader needs before any number; none for a complete and whole run."""
    status = run.record.status
    failed = [model for model in run.models if run.error(model)]
    found = []
    if status != "complete":
        found.append(_STATUS_STAMPS.get(status, Stamp(title=status, text="This run did not complete.")))
    if run.record.partial or run.record.spec.get("samples"):
        samples = run.record.spec.get("samples")
        cut = f"--samples {samples}" if samples else "a part of the protocol's images"
        text = f"The sets were cut to {cut}: do not compare these numbers with those of the whole protocol."
        found.append(Stamp(title="Partial sets", text=text))
    if run.record.error is not None:
        text = f"The run as a whole ended early: {run.record.error['message']}"
        found.append(Stamp(title="No numbers", text=text))
    if failed:
        others = " The other models are not affected." if len(failed) < len(run.models) else ""
        text = f"{', '.join(map(brief, failed))}: see the errors below.{others}"
        found.append(Stamp(title=f"{some(len(failed), 'model')} failed", text=text))
    return found


_STATUS_STAMPS = {
    "started": Stamp(title="Unfinished", text="This run had not ended when this report was written."),
    "cancelled": Stamp(title="Cancelled", text="This run was stopped before its end; the same command continues it."),
    "failed": Stamp(title="Failed", text="Not everything in this run worked; what could be measured is shown."),
}


def _protocol(run: Run) -> dict[str, Any]:
    protocol = run.record.spec.get("protocol")
    return protocol if isinstance(protocol, dict) else {"name": protocol} if protocol else {}


def _version(protocol: Mapping[str, Any]) -> str:
    return f" (version {protocol['version']})" if protocol.get("version") else ""


def _sets(run: Run) -> str:
    if processes := (run.record.spec.get("speed") or {}).get("processes"):
        return f", which times them in {processes} fresh process{'es' * (processes > 1)} each, in turn"
    whole = {entry["name"]: entry["images"] for entry in _protocol(run).get("sets", [])}
    cut = run.record.spec.get("samples")
    sizes = [f"{count(min(images, cut or images))} {name.replace('_', '-')}" for name, images in whole.items()]
    return f": {listed(sizes)} images each" if sizes else ""


def _reference(run: Run) -> str:
    """Of a file in the place of real images it may not be known how many they were."""
    if comparable.uses_published_statistics(run):
        return "Quality is measured against published statistics of real images."
    reference = _protocol(run).get("reference") or {}
    measured = [row for row in run.rows if row.metric in DISTANCES and row.value is not None]
    images = measured[0].n_reference if measured and measured[0].n_reference else reference.get("images")
    return f"Quality is measured against {count(images)} real images." if images else ""


def _hardware(keys: Mapping[str, Any]) -> dict[str, Any]:
    return dict(keys.get("hardware", {}).get("fields", {}))


def _accelerator(fields: Mapping[str, Any]) -> str:
    if fields.get("device") in (None, "cpu"):
        return ""
    return f"{fields.get('count') or 1} × {fields.get('name') or fields['device']}"


def some(number: int, noun: str) -> str:
    """Returns the number with its noun, in the plural unless it is one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def listed(parts: Sequence[str]) -> str:
    """Returns the parts, at least one, as an English enumeration."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
