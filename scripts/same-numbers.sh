#!/usr/bin/env bash
# Whether an x86-64 processor without AVX-512 comes to the same numbers as this one, bit by bit: tests of the kernels, and
# runs of the suite `quick`, on an emulated processor (QEMU) and on this one. Emulation is some hundred times slower, so
# that the runs are few unless arguments say otherwise:
#
#   scripts/same-numbers.sh [ablation's arguments]      for instance: --scale tiny
set -euo pipefail
cd "$(dirname "$0")/.."

qemu=$(command -v qemu-x86_64-static || command -v qemu-x86_64 || true)
if [ "$(uname -m)" != x86_64 ] || [ -z "$qemu" ]; then
  echo "not run: it needs an x86-64 processor, and QEMU (Debian: qemu-user-static)"
  exit 0
fi
[ $# -gt 0 ] || set -- --scale tiny --seeds 1 --problems 'rosenbrock-20d,noisy-quadratic,logistic-digits,mlp-digits' \
  --optimizers 'adam,lbfgs,fuse-pv/epoch'
emulated="$qemu -cpu max"
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# The program is named for the features of the dependencies, which are built already.
CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER=$emulated cargo test -q -p models -p bench-runner --lib --locked kernels::
cargo build -q -p bench-runner --locked
program=${CARGO_TARGET_DIR:-target}/debug/bench-runner
"$program" ablation quick "$@" --out "$out/native" --store "$out/native-store" --quiet
# shellcheck disable=SC2086 # the emulator and its processor
$emulated "$program" ablation quick "$@" --out "$out/emulated" --store "$out/emulated-store" --quiet
python3 - "$out" <<'PYTHON'
import csv
import json
import sys

native, emulated = ([tuple(row[key] for key in ("problem", "optimizer", "seed", "digest"))
                     for row in csv.DictReader(open(f"{sys.argv[1]}/{name}/runs.csv"))] for name in ("native", "emulated"))
processors = [json.load(open(f"{sys.argv[1]}/{name}/manifest.json"))["cpu"] for name in ("native", "emulated")]
assert "AVX-512" not in processors[1], processors
differing = [" ".join(run[:3]) for run, other in zip(native, emulated, strict=True) if run != other]
print(f"{len(native) - len(differing)} of {len(native)} runs are equal bit by bit: {processors[0]}, and without AVX-512")
sys.exit("\n".join(["different:", *differing]) if differing else 0)
PYTHON
