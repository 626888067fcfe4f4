//! The processor, as far as numbers depend on it.

/// The architecture and the vector extensions that kernels may choose by.
pub fn instruction_sets() -> String {
    #[allow(unused_mut)]
    let mut sets = vec![std::env::consts::ARCH];
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx2") {
            sets.push("AVX2");
        }
        if std::is_x86_feature_detected!("fma") {
            sets.push("FMA");
        }
        if std::is_x86_feature_detected!("avx512f") {
            sets.push("AVX-512F");
        }
    }
    sets.join(" ")
}
