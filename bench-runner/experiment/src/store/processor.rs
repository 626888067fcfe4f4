//! The processor, as far as numbers depend on it.

use crate::optimizer::OptimizerConfig;

/// What wider vectors add to the instruction sets. They change the numbers of few optimizers: every kernel of ours adds
/// up a sum in the same order whatever their width (models: `sums_are_in_the_order_of_their_terms_whatever_the_width_of_vectors`;
/// CI compares whole runs).
const WIDER: &str = " AVX-512F";

/// The architecture and the vector extensions that the numbers of these optimizers depend on.
pub fn instruction_sets<'a>(optimizers: impl IntoIterator<Item = &'a OptimizerConfig>) -> String {
    let mut optimizers = optimizers.into_iter();
    match optimizers.any(|optimizer| optimizer.depends_on_vector_width()) {
        true => description(),
        false => common(),
    }
}

/// Those that all numbers depend on.
fn common() -> String {
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
    }
    sets.join(" ")
}

/// The same, with what changes no number: for people.
pub(super) fn description() -> String {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx512f") {
        return common() + WIDER;
    }
    common()
}

/// Whether these optimizers come to the same numbers on a processor of that description as on this one.
pub(super) fn gives_these_numbers<'a>(
    there: &str,
    optimizers: impl IntoIterator<Item = &'a OptimizerConfig>,
) -> bool {
    there == description() || there.trim_end_matches(WIDER) == instruction_sets(optimizers)
}
