"""Image sources: always uint8 RGB."""
