"""A coarse-to-fine autoregressive model: multi-scale residual quantisation and next-scale prediction (VAR)."""
