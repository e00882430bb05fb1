"""The losses of this version, one file each."""
