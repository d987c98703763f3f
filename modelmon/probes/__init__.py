"""Probes: what turns the running world into records, without a lock, a thread or an import beyond the standard library."""
