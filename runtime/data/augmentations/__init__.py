"""The augmentations of pictures and tokens, one file each, as they run."""
