"""What stands on the page, in this order: one module for each section.

Each has ID, the section's anchor, TITLE, its entry in the navigation, and ``content(run)``: what fills its template,
``templates/MODULE.html.jinja``, or None where the run has nothing of the kind, and the section is absent.
"""

from trilemma.report.sections import (
    claims,
    coverage,
    environment,
    failures,
    measurements,
    models,
    samples,
    scores,
    speed,
)

SECTIONS = (scores, claims, measurements, samples, models, speed, coverage, failures, environment)
