"""A program that does what iftop once did: ``python recorded_iftop.py CASE``.

It writes the recorded output in the recorded pieces, one for each key on its standard input; at
the end the recorded errors, and it ends as iftop ended.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

case = Path(sys.argv[1])
head, _, rest = (case / "input.txt").read_bytes().partition(b"# ---- stdout ----\n")
out, _, errors = rest.partition(b"\n# ---- stderr ----\n")
ending = re.search(rb"exit status: (-?\d+)", head)
for line in (case / "chunks.txt").read_text().splitlines()[1:]:
    size = int(line.split()[1])
    os.read(0, 1)
    os.write(1, out[:size])
    out = out[size:]
os.read(0, 1)
os.write(2, errors)
status = int(ending[1]) if ending else 0
if status < 0:
    os.kill(os.getpid(), -status)
sys.exit(bool(out) or status)
