#!/usr/bin/env bash
# Tests the suite on CUDA on a machine without a GPU: optim's kernels and what launches them, and whole networks that
# train on a card's path.
#
#   scripts/cuda-host-test.sh
#
# The tests are linked with a stand-in for CUDA's libraries that runs kernels on the host
# (scripts/host-driver/driver.cpp says what it shows and what it cannot). FEATURES chooses the build (default cuda;
# cudnn also stands in for cuDNN's convolutions). Needs g++ and what scripts/cuda-toolchain.sh needs.
set -euo pipefail
cd "$(dirname "$0")/.."
features=${FEATURES:-cuda}
# shellcheck source=scripts/cuda-toolchain.sh
. scripts/cuda-toolchain.sh

driver=$PWD/target/cuda/host-driver
scripts/host-driver/build "$driver"
export LIBRARY_PATH=$driver LD_LIBRARY_PATH=$driver
export NVCC=$PWD/scripts/host-driver/nvcc
# Cargo would not build Candle again for another CUDA compiler, and its kernels are empty here.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target/host-driver}

# Left out: a test that takes minutes there.
cargo test -p optim --features "$features" --locked --lib --tests -- --skip more_history_never_hurts
FUSE_DEVICE=cuda:0 cargo test -p bench-runner --features "$features" --locked --test integration device:: -- --nocapture
