"""What names, numbers and types mean."""
