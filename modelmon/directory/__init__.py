"""The directory of a machine, in which its processes keep what they counted, so that any of them can show it all."""
