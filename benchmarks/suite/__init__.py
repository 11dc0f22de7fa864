"""One file for each benchmark: its first line is its sentence, and `run` returns its rows."""
