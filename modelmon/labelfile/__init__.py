"""``modelmon label``: labels out of a file into a store, in batches that are committed one by one."""
