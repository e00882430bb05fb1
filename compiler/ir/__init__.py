"""The intermediate representation: a model as a tree of units, structure kept."""
