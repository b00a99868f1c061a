"""Plan, one process per model, record. What the parent process imports never imports torch."""
