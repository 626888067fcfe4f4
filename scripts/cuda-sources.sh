#!/usr/bin/env bash
# Prints one hash of all that the test of CUDA on the host depends on: the kernels, what launches them, the
# host's driver, and the versions of Candle and cudarc; not the matrix products of the CPU, which run on no GPU and
# have tests of their own. CI runs that test only where the hash is not the one in scripts/host-driver/tested, which
# scripts/cuda-host-test.sh writes when it has passed.
set -euo pipefail
cd "$(dirname "$0")/.."

{
  git ls-files -s -- 'optim/src/kernels' 'models/src/kernels' ':!models/src/kernels/matmul.rs' \
    'optim/src/params.rs' optim/build.rs models/build.rs 'scripts/cuda-*.sh' scripts/host-driver ':!scripts/host-driver/tested' | awk '{ print $2, $4 }'
  grep -A 1 -E '^name = "(candle-core|candle-kernels|cudarc)"' Cargo.lock
} | sha256sum | cut -d ' ' -f 1
