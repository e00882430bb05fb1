"""The stages of a learning rate's schedule, one file each."""
