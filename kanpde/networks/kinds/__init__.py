"""Kinds of networks besides kan and mlp: a file each, named as the kind is on the command line."""
