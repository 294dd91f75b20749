"""The run folder: what is written of a run, how it is read again, and what goes on where it was
ended."""
