# Puts a CUDA compiler and headers on the PATH, from PyPI: for machines that compile for CUDA but have no GPU.
#
# To be sourced in the repository's root. Needs Python 3 with venv, and 1 GB in target/cuda. CUDA_COMPUTE_CAP chooses
# the architecture (default 90, the H100).
# shellcheck shell=bash

toolchain=$PWD/target/cuda/venv
if ! [ -x "$toolchain/bin/python" ]; then
  mkdir -p target/cuda
  python3 -m venv "$toolchain"
fi
# One release throughout: nvcc refuses headers of another.
"$toolchain/bin/python" -m pip install --quiet --disable-pip-version-check \
  nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88 \
  nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 nvidia-curand==10.4.0.35
CUDA_HOME=$("$toolchain/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/nvidia/cu13
export CUDA_HOME
export PATH="$CUDA_HOME/bin:$PATH"
export CUDA_COMPUTE_CAP=${CUDA_COMPUTE_CAP:-90}
nvcc --version | tail -n 1
