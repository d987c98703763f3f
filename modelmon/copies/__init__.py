"""What is kept of a call's output, taken in the calling thread with the standard library alone."""

from modelmon.copies.keeping import PLAIN, keep, kept_bytes
from modelmon.copies.kept import Coded, Deferred, Nullable, Rejection

__all__ = ["PLAIN", "Coded", "Deferred", "Nullable", "Rejection", "keep", "kept_bytes"]
