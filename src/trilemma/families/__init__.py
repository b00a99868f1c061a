"""One file or folder per family: network and sampler. Each offers ``load(card, device)``."""
