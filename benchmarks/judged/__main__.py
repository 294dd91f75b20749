"""`python -m benchmarks.judged KEY EFFORT`: one problem in a process of its own, whose last line
is what was found, as JSON."""

import json
import sys

from benchmarks.judged.judgement import judged
from benchmarks.judged.registry import entries

if __name__ == "__main__":
    key, effort = sys.argv[1:]
    print(json.dumps(vars(judged(entries()[key], effort)), ensure_ascii=False, allow_nan=False))
