#!/usr/bin/env bash
# Whether an x86-64 processor without AVX-512 comes to the same numbers as those that made the committed reports, bit by bit. All
# runs of some suites are made, by default quick and criteria; where this processor has AVX-512, it is hidden from the program.
#
#   scripts/same-numbers.sh [SUITE ...]      suites whose runs are in reports/reference
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  echo "not run: it needs Linux on an x86-64 processor"
  exit 0
fi
[ $# -gt 0 ] || set -- quick criteria
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

cargo build -q -p bench-runner --locked
program=${CARGO_TARGET_DIR:-target}/debug/bench-runner
hidden=()
if grep -qw avx512f /proc/cpuinfo; then
  cc -O2 -shared -fPIC -o "$out/hide.so" scripts/hide-avx512.c
  objdump -d --no-show-raw-insn "$program" | awk '$2 == "cpuid" { sub(":", "", $1); print $1 }' >"$out/sites"
  hidden=(env "CPUID_SITES=$out/sites" "LD_PRELOAD=$out/hide.so")
fi
for suite in "$@"; do
  "${hidden[@]}" "$program" ablation "$suite" --out "$out/$suite" --store "$out/store" --quiet
  python3 - "$out/$suite" "reports/reference/$suite" <<'PYTHON'
import csv
import json
import sys

made, recorded = ({tuple(row[key] for key in ("problem", "optimizer", "seed")): row["digest"]
                   for row in csv.DictReader(open(f"{folder}/runs.csv"))} for folder in sys.argv[1:])
processor, recorder = (json.load(open(f"{folder}/manifest.json"))["cpu"] for folder in sys.argv[1:])
assert "AVX-512" not in processor, processor
assert made.keys() == recorded.keys()
differing = [" ".join(run) for run in made if made[run] != recorded[run]]
print(f"{len(made) - len(differing)} of {len(made)} runs are equal bit by bit: {processor}, and {recorder}")
sys.exit("\n".join(["different:", *differing]) if differing else 0)
PYTHON
done
