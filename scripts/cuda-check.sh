#!/usr/bin/env bash
# Compiles all three crates for CUDA on a machine without a GPU: the compiler comes from PyPI.
#
#   scripts/cuda-check.sh
#
# Takes about ten minutes on two cores the first time, and 3 GB in target. It type-checks our code against Candle's CUDA
# back end and compiles Candle's kernels and ours; it links and runs nothing. scripts/cuda-host-test.sh runs them.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/cuda-toolchain.sh
. scripts/cuda-toolchain.sh

for features in cuda cudnn; do
  cargo clippy --workspace --all-targets --features "$features" --locked -- -D warnings
  echo "all three crates, their tests and benchmarks compile with --features $features, without a warning"
done
