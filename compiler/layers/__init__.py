"""One class = one layer, one file a class. `registry` finds them by name."""
