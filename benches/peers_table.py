"""Prints the table of a record of peers: `python3 benches/peers_table.py RECORD.json > TABLE.md`.

A row has our time, the best peer and its time, their ratio, and which part of the physical limit we reach: the longer of
the operations at the peak of the core's instruction for the type, and the bytes that have to be read and written once at the
bandwidth of the nearest memory that holds them all. Peaks and bandwidths are those of device.json beside the record; sums of
products of bf16 and of bytes have two and four times the peak of f32, in tile registers 16 and 32 times.
"""
import json
import pathlib
import sys
from collections import defaultdict


def ceilings(folder, threads):
    device = json.loads((folder / "device.json").read_text())
    features = device["target"]["features"]
    rates = {row["name"]: row["giga_per_second"] * 1e9 for row in device["ceilings"] if row["threads"] == threads}
    rates["products"] = {
        "bf16": 16 if "amx-bf16" in features else 1 if "avx512bf16" in device["target"].get("slow", []) else 2,
        "s8": 32 if "amx-int8" in features else 4,
    }
    return rates


def attention(shape, causal):
    batch, heads, key_heads, rows, keys, depth = shape
    visited = sum(min(keys, row + 1) for row in range(rows)) if causal else rows * keys
    return 4.0 * batch * heads * depth * visited, 4.0 * batch * depth * (2 * heads * rows + 2 * key_heads * keys)


def work(kernel, dtype, shape):
    """Operations and bytes."""
    size = {"f32": 4, "bf16": 2, "f16": 2, "s8": 1}[dtype]
    if kernel.startswith("attn"):
        return attention(shape, "causal" in kernel)
    if kernel.startswith("matmul"):
        m, n, k, batch = (*shape, 1)[:4]
        result = 4 if dtype == "s8" else size
        return 2.0 * m * n * k * batch, batch * ((m * k + k * n) * size + m * n * result)
    elements = 1
    for extent in shape:
        elements *= extent
    return 0.0, elements * size * (3 if kernel == "swiglu" else 2)


def limit_s(row, rates):
    operations, size = work(row["kernel"], row["dtype"], row["shape"])
    peak = rates["fma_f32"] * rates["products"].get(row["dtype"], 1)
    for name, held in [("read_L2", 1 << 20), ("read_L3", 32 << 20), ("read_memory", float("inf"))]:
        if size <= held:
            return max(operations / peak, size / rates[name])


def main(path):
    record = json.loads(pathlib.Path(path).read_text())
    groups = defaultdict(lambda: defaultdict(list))
    for row in record["rows"]:
        groups[row["kernel"], row["dtype"], tuple(row["shape"])][row["lib"]].append(row["median_s"])
    rates = ceilings(pathlib.Path(path).parent, record["rows"][0]["threads"])
    print("| kernel | shape | own | best peer | ratio | of the limit |")
    print("|---|---|---|---|---|---|")
    for (kernel, dtype, shape), times in groups.items():
        own = min(times.pop("own", [float("nan")]))
        if not times:
            continue
        peer = min(times, key=lambda lib: min(times[lib]))
        best = min(times[peer])
        limit = limit_s({"kernel": kernel, "dtype": dtype, "shape": shape}, rates)
        name = f"{kernel} {dtype} | {'x'.join(map(str, shape))}"
        print(f"| {name} | {own * 1e6:.2f} us | {peer} {best * 1e6:.2f} us | {best / own:.2f} | {100 * limit / own:.0f} % |")


main(sys.argv[1])
