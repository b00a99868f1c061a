"""What runs in a Python that is not this suite's: :mod:`.serve`, which imports nothing but the standard library."""
