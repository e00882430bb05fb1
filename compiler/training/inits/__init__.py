"""The ways to draw initial weights, one file each."""
