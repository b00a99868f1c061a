"""What stands on the page, in this order: one module for each section.

Each has ID, the section's anchor, TITLE, its entry in the navigation, and ``content(run)``: what fills its template,
``templates/MODULE.html.jinja``, or None where the run has nothing of the kind, and the section is absent.
"""

from trilemma.report.sections import (
    claims,
    coverage,
    environment,
    failures,
    frontiers,
    measurements,
    models,
    overhead,
    real_size,
    samples,
    scores,
    speed,
)

SECTIONS = (
    frontiers,
    scores,
    claims,
    measurements,
    samples,
    models,
    speed,
    real_size,
    overhead,
    coverage,
    failures,
    environment,
)
