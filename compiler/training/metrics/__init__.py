"""The metrics of this version, one file each."""
