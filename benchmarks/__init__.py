"""Measurements of kanpde, run by `python -m benchmarks COMMAND` or `make bench…`.

- `solve`: speed and accuracy of whole problems, as the README states them.
- `accuracy`: the gallery beside what others have published.
- `bases`: one problem by every kind of network.
- `kernels`: the closure of a loss and its gradient against other networks.
- `shards`: a step on several processes.
- `judged`: whether verdicts can be believed, beside truths that share no code with kanpde.
- `start`: what one waits for besides training.
- `fingerprint`: what a change that only moves code must leave the same.
- `tables`: says at the head of a committed table that its code has changed since.

Each of the first six writes its table, and the numbers behind it, below results/benchmarks/.
"""
