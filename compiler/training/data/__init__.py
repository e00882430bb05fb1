"""The sources of data of this version, one file each: what is written about them, not how they are read."""
