"""The command line: one small file a verb, loaded only when that verb runs."""
