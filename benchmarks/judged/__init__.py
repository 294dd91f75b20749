"""Fifty small problems, each with a truth that shares no code with kanpde: `python -m benchmarks
judged` says whether verdicts can be believed.

A file holds the problems of one field; each of its functions poses one. `posed.py` and `truths.py`
hold what they have in common, `judgement.py` solves one of them and compares verdict and truth,
`campaign.py` runs many, and `sums.py` counts.
"""
