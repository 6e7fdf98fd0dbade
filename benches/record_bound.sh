#!/usr/bin/env bash
# Confirms the constants of the error bound with 1,000 seeds for each operation and writes the table into the folder of
# today's records. No time is taken, so the machine need not be quiet; it takes a quarter of an hour on two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

chip=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -1 | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')
out="benches/records/$(date -u +%Y-%m-%d)-${chip:-unknown}-$(nproc)cpu"
mkdir -p "$out"
printf 'error_bound: TILEWRIGHT_BOUND_SEEDS=1000 cargo test --release --test error_bound\n' >> "$out/commands.txt"
TILEWRIGHT_BOUND_SEEDS=1000 TILEWRIGHT_BOUND_RECORD="$PWD/$out/error_bound.json" \
    cargo test --release --quiet --test error_bound >&2
printf 'record in %s\n' "$out" >&2
