#!/usr/bin/env python3
"""Tunes the shapes of the peer comparison into one store: tune_peers.py STORE THREADS SECONDS [CASES.json].

The kernels are those of examples/peer_worker.rs, read from its text, so that the worker finds the winners. CASES is a list
of [operation, extents]; without it the rows of RECORDS given by --of FILE are tuned.

"""
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "target", "release", "tilewright")


def operations():
    """Name to (kernel text, axes), from the table of the worker."""
    text = open(os.path.join(HERE, "..", "examples", "peer_worker.rs")).read()
    table = text[text.index("const OPERATIONS") : text.index("/// A compiled kernel with its buffers")]
    rows = re.findall(r'\(\s*"(\w+)",\s*"(kernel [^"]*)",\s*&\[([^\]]*)\],?\s*\)', table)
    return {name: (kernel, re.findall(r'"(\w+)"', axes)) for name, kernel, axes in rows}


def sizes(axes, extents):
    """As `sizes` of the worker: heads and groups become groups and heads of each."""
    found = dict(zip(axes, extents))
    if "h" in found:
        found["r"] = found.pop("h") // max(found["g"], 1)
        found["e"] = extents[-1]
    return found


def main():
    store, threads, seconds, cases = sys.argv[1], int(sys.argv[2]), sys.argv[3], json.load(open(sys.argv[4]))
    known = operations()
    for name, extents in cases:
        kernel, axes = known[name]
        with tempfile.NamedTemporaryFile("w", suffix=".tw") as file:
            file.write(kernel)
            file.flush()
            text = ",".join(f"{axis}={extent}" for axis, extent in sizes(axes, extents).items())
            command = [PROGRAM, "tune", file.name, "--size", text, "--seconds", seconds, "--json", "--threads", str(threads)]
            out = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TILEWRIGHT_STORE": store})
            last = out.stdout.strip().splitlines()[-1] if out.stdout.strip() else out.stderr.strip()[-300:]
            try:
                row = json.loads(last)
                best = row.get("best") or {}
                print(name, extents, best.get("time_ns"), row.get("evaluated"), flush=True)
            except ValueError:
                print(name, extents, last, flush=True)


main()
