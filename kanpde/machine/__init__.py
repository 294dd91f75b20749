"""The machine that a run is on."""
