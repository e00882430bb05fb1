"""The ways to train on several devices, one file each."""
