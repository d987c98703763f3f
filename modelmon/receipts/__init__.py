"""Receipts: predictions that travel with whoever will label them, signed, instead of waiting in a store."""
