"""The page of two runs: what changed from A, the baseline, to B, the candidate.

pair            both records with the verdicts on every series
outcome         what the verdicts come to: words, counts, the sentence over the page
verdicts        section: every model's series, as a figure and as a table
forest          the figure: differences in units of their margins
differing       section: in what else the runs differ, field by field
changed_images  section: the same seeds' images, and the pairs that differ most
images          one model's images in both runs, matched
contents        all that is told, worked out once
page            all of it as HTML; markdown and document the same as Markdown and as JSON
write           the files
"""
