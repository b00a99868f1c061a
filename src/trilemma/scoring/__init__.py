"""Two sets of images in, every number of a preset out, each with its error, its floor and its identity.

side            what is compared: images, reference statistics, or the features that a finished run has stored
resolve         from a name on the command line to a side
views           some images of a source; all of them resized, or changed
networks        the presets' extractors, each loaded once
extraction      from a side to feature sets: one pass over the images for all networks
feature_set     what one network has made of a side: arrays by output, or fitted Gaussians
measures        which function computes a number of a preset, and what it needs
copies          the copy test: how near either side comes to training images
numbers         ``score_features``: the numbers of one preset from two feature sets; no network runs
row             one number as it is printed and recorded
score           ``score``: all of it, from two sides
stats           ``write_statistics``: one side as a statistics file
record          the JSON document that a score is, and reading it back
distortions*    graded damage to real images
calibration*    which metric sees which damage
explain*        why two numbers differ
"""
