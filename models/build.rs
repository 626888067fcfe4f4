//! With feature `cuda`, compiles this crate's kernels with the CUDA compiler that Candle's build needs too.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "cuda")]
    cuda();
}

/// Writes the kernels' PTX and a constant of it, `KERNELS`, which `src/kernels/cuda` includes. The CUDA
/// compiler is found, and the architecture chosen, as for Candle's own kernels.
#[cfg(feature = "cuda")]
fn cuda() {
    const FOLDER: &str = "src/kernels/cuda";
    const SOURCE: &str = "src/kernels/cuda/kernels.cu";
    println!("cargo::rerun-if-changed={FOLDER}");
    let Some(out) = std::env::var_os("OUT_DIR") else {
        panic!("Cargo sets OUT_DIR for build scripts");
    };
    let built = cudaforge::KernelBuilder::new()
        .source_files([SOURCE])
        // Headers beside the source are part of it.
        .watch([FOLDER])
        .arg("-std=c++17")
        .arg("-O3")
        // As in `optim`.
        .arg("--fmad=false")
        .build_ptx()
        .and_then(|kernels| kernels.write(std::path::Path::new(&out).join("kernels.rs")));
    if let Err(error) = built {
        panic!("{SOURCE} was not compiled: {error}");
    }
}
