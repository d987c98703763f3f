"""The sampler: one thread of this process that reads graphics processors, and gives models their part of them.

1. Nothing here runs on the path of a call, and no call waits for it: calls are known from records already drained.
2. The thread starts at the first monitored call, where a driver is present and not switched off.
3. No lock is held while the driver is called, so a driver that hangs holds up nobody, at the end of the program either.
4. What cannot be read is absent, never 0, and what was read too long ago is absent too.
"""
