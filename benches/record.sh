#!/usr/bin/env bash
# Takes the records of one machine: ceilings, candidates per second, compile times, and the tuned times of a few
# kernels. Run it on a quiet machine; it writes one folder under benches/records, with the commands and versions.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --quiet --bins --examples
target="${CARGO_TARGET_DIR:-target}/release"
tilewright="$target/tilewright"
chip=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -1 | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')
out="benches/records/$(date -u +%Y-%m-%d)-${chip:-unknown}-$(nproc)cpu"
mkdir -p "$out"
store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
export TILEWRIGHT_STORE="$store/store.sqlite"

record() { # NAME COMMAND..: keeps the last line of the output
    local name=$1
    shift
    printf '%s\n' "$name" >&2
    printf '%s: %s\n' "$name" "${*//$target\//}" >> "$out/commands.txt"
    "$@" 2> /dev/null | tail -n "${LINES_KEPT:-1}" > "$out/$name.json"
}

# NAME COMMAND..: the wall-clock seconds and the memory of the largest process (its own or a child's).
memory() {
    local name=$1
    shift
    printf '%s\n' "$name" >&2
    printf '%s: %s\n' "$name" "${*//$target\//}" >> "$out/commands.txt"
    python3 - "$@" > "$out/$name.json" << 'END'
import json, resource, subprocess, sys, time

start = time.monotonic()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seconds = round(time.monotonic() - start, 2)
kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"elapsed_seconds": seconds, "largest_process_mib": round(kib / 1024)}))
END
}

{
    date -u +%FT%TZ
    uname -srm
    rustc --version
    "$tilewright" --version
    git rev-parse HEAD
    uptime
} > "$out/machine.txt"
: > "$out/commands.txt"
LINES_KEPT=100 record device "$tilewright" --json describe-device
LINES_KEPT=100 record compile_times "$target/examples/compile_times" 100
record matmul_512_one_thread "$tilewright" --json tune kernels/matmul.tw \
    --size m=512,n=512,k=512 --fix threads=1 --seconds 30
record matmul_512_two_threads "$tilewright" --json tune kernels/matmul.tw \
    --size m=512,n=512,k=512 --seconds 20
record matmul_256_rate "$tilewright" --json tune kernels/matmul.tw --size m=256,n=256,k=256 --seconds 20
record attention "$tilewright" --json tune kernels/attention.tw --seconds 90
memory attention_memory "$tilewright" tune kernels/attention.tw --seconds 40
memory verify_1024 "$tilewright" run kernels/matmul.tw --size m=1024,n=1024,k=1024 --verify
for kernel in softmax layernorm rmsnorm linear_gelu; do
    record "$kernel" "$tilewright" --json tune "kernels/$kernel.tw" --seconds 10
done
printf 'records in %s\n' "$out" >&2
