"""Mergeable counts: integers, or sums so exact that a row removed leaves no trace; nothing here divides."""
