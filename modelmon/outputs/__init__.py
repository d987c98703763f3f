"""What outputs of calls mean as predictions, read in batches."""

from modelmon.outputs.reading import Reading, read

__all__ = ["Reading", "read"]
