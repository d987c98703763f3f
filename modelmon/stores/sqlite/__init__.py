"""The store of one machine: a file that all its processes share.

``schema`` has the tables, ``files`` the file's safety, ``access`` the connection, ``forks`` what a fork asks of it,
``segments`` and ``recents`` the log that new documents go to first, ``merging`` how they leave it, and ``database`` the
Protocol that the store is built on.
"""
