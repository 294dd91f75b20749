"""Networks that map jets to jets, and the trial space that gives them exact boundary and initial
values.

This file imports nothing, so that the names of all kinds can be listed without torch.
"""
