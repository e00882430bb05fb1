"""What a model can be exported to in this version, one file each."""
