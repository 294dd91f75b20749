"""What a user writes: domain, equations and conditions as one frozen problem, its file and its
data.

This file imports nothing, so that the gallery can be listed without torch.
"""
