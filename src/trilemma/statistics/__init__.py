"""Standard errors, intervals and paired differences: pure functions of numpy arrays."""
