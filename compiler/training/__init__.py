"""`train` and `export` sections become checked plans: one class, one file, one name of the language."""
