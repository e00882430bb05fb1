"""What a recipe may start from, one file each."""
