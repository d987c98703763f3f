"""The store of one machine: a file that all its processes share."""
