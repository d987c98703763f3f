"""Quality: counts in, ratios out; every function is pure, and undefined is ``nan``."""
