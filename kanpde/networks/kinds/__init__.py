"""Kinds of networks besides kan and mlp: one file each, named as the kind is on the command line."""
