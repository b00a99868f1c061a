"""A gate's series as JUnit XML, which CI systems show as tests: a gated series is a test case.

Format: https://github.com/testmoapp/junitxml (what readers of JUnit XML have in common).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from trilemma.tracking.judged import FAILING, PASSING, Judged

if TYPE_CHECKING:
    from trilemma.tracking.gate import Outcome

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(outcome: Outcome, *, strict: bool) -> str:
    """Returns the XML; what is undecided is a failure with ``strict``, else skipped: never passed."""
    verdicts = [one.verdict for one in outcome.gated]
    failing = [verdict for verdict in verdicts if verdict in FAILING or (strict and verdict not in PASSING)]
    undecided = [verdict for verdict in verdicts if verdict not in (*FAILING, *PASSING)]
    totals = {
        "tests": len(verdicts),
        "failures": len(failing),
        "errors": 0,
        "skipped": 0 if strict else len(undecided),
    }
    suite = ElementTree.Element(
        "testsuite", {"name": f"trilemma gate {outcome.baseline}", **{name: str(n) for name, n in totals.items()}}
    )
    for one in outcome.gated:
        suite.append(_case(one, strict=strict))
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _case(one: Judged, *, strict: bool) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"classname": one.model, "name": one.metric})
    if one.verdict in PASSING:
        return case
    fails = strict or one.verdict in FAILING
    message = _legal(f"{one.verdict}: {one.message}")
    ElementTree.SubElement(case, "failure" if fails else "skipped", {"message": message})
    return case


def _legal(text: str) -> str:
    """Returns the text without the characters that XML cannot hold (XML 1.0, production 2)."""
    return _ILLEGAL.sub("", text)
