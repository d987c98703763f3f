"""The sub-commands of the command line, one file each; what they need is loaded when they run."""
