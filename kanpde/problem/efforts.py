"""How much time a solution is worth: the one list of efforts."""

EFFORTS = ("quick", "default", "record")
"""A first look, what `solve` does, and all that two cores give in minutes."""
