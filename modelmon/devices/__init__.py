"""Graphics processors: what is read of them, and the backends that read it."""
