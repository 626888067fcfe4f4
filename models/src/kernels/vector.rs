//! Vector code: which instruction set the kernels use, and vectors of numbers for the inner loops
//! that the compiler does not turn into good vector code by itself.

#[cfg(test)]
use std::cell::Cell;

use candle_core::WithDType;

/// Instructions of the CPU; each set includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum InstructionSet {
    /// What the compiler assumes of every CPU.
    Portable,
    /// AVX2 with fused multiply-add.
    Avx2,
    /// AVX-512 F and DQ.
    Avx512,
}

#[cfg(test)]
thread_local! {
    /// The set that this thread is limited to.
    static LIMIT: Cell<InstructionSet> = const { Cell::new(InstructionSet::Avx512) };
}

impl InstructionSet {
    /// The largest set of this CPU.
    pub(crate) fn largest() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let avx512 =
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq");
            return if avx512 { Self::Avx512 } else { Self::Avx2 };
        }
        Self::Portable
    }

    /// The set that kernels use on this thread.
    pub(crate) fn current() -> Self {
        #[cfg(test)]
        return Self::largest().min(LIMIT.get());
        #[cfg(not(test))]
        Self::largest()
    }

    /// Runs `work` with kernels on this thread limited to this set.
    #[cfg(test)]
    pub(crate) fn limit<R>(self, work: impl FnOnce() -> R) -> R {
        let before = LIMIT.replace(self);
        let result = work();
        LIMIT.set(before);
        result
    }
}

/// Runs a loop compiled for the widest vectors of this CPU. The bits do not depend on the width: nothing is
/// reassociated or contracted.
///
/// Mark closures as `#[inline(always)]`, here and where they are handed to what calls this: else they may stay compiled
/// for the target's baseline.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    #[cfg(test)]
    if InstructionSet::current() == InstructionSet::Portable {
        return work();
    }
    pulp::Arch::new().dispatch(work)
}

/// A vector register of numbers.
///
/// # Safety
/// The CPU must have the vector's instruction set whenever one of the functions is called. Loads
/// and stores touch `LANES` elements at the address, or `RUNS` runs at their offsets from it.
pub(crate) unsafe trait Vector: Copy {
    /// The type of the elements.
    type Element: WithDType;
    /// How many there are.
    const LANES: usize;
    /// How many runs of [`Dispatch::LANES`] elements they make.
    const RUNS: usize;

    /// The same value in every lane.
    unsafe fn splat(value: Self::Element) -> Self;
    /// Reads `LANES` consecutive elements.
    unsafe fn load(source: *const Self::Element) -> Self;
    /// Writes `LANES` consecutive elements.
    unsafe fn store(self, target: *mut Self::Element);
    /// Reads a run of consecutive elements at each of `RUNS` offsets.
    unsafe fn load_runs(source: *const Self::Element, offsets: *const usize) -> Self;
    /// Writes a run of consecutive elements at each of `RUNS` offsets.
    unsafe fn store_runs(self, target: *mut Self::Element, offsets: *const usize);
    /// `self + a b`.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// `self + other`.
    unsafe fn add(self, other: Self) -> Self;
    /// `self - other`.
    unsafe fn subtract(self, other: Self) -> Self;
    /// Writes a square of [`SQUARE`] rows and columns with rows and columns exchanged, each in lines that are a pitch
    /// apart.
    unsafe fn transpose(
        source: *const Self::Element,
        source_pitch: usize,
        target: *mut Self::Element,
        target_pitch: usize,
    ) {
        // SAFETY: the caller promises the elements.
        unsafe { transpose(source, source_pitch, target, target_pitch) }
    }
}

/// Rows and columns of the squares that [`Vector::transpose`] works on.
pub(crate) const SQUARE: usize = 8;

/// [`Vector::transpose`] without special instructions.
///
/// # Safety
/// The lines must be readable and writable.
#[inline(always)]
unsafe fn transpose<T: Copy>(
    source: *const T,
    source_pitch: usize,
    target: *mut T,
    target_pitch: usize,
) {
    // SAFETY: as promised by the caller.
    unsafe {
        let rows: [[T; SQUARE]; SQUARE] = std::array::from_fn(|i| {
            let line = source.add(i * source_pitch);
            line.cast::<[T; SQUARE]>().read_unaligned()
        });
        for j in 0..SQUARE {
            let line = target.add(j * target_pitch).cast::<[T; SQUARE]>();
            line.write_unaligned(rows.map(|row| row[j]));
        }
    }
}

/// A computation written for any vector type.
pub(crate) trait Kernel<T: WithDType> {
    /// Whether it can run with vectors of so many lanes. It always can with [`Dispatch::LANES`].
    fn fits(&self, lanes: usize) -> bool;
    /// Runs it with `V`; to be inlined always.
    ///
    /// # Safety
    /// The CPU must have the instruction set of `V`.
    unsafe fn run<V: Vector<Element = T>>(self);
}

/// `N` numbers on any CPU.
#[derive(Clone, Copy)]
pub(crate) struct Portable<T, const N: usize>([T; N]);

// SAFETY: it needs no instruction set beyond the compiler's own.
unsafe impl<T: WithDType, const N: usize> Vector for Portable<T, N> {
    type Element = T;
    const LANES: usize = N;
    const RUNS: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: T) -> Self {
        Self([value; N])
    }

    #[inline(always)]
    unsafe fn load(source: *const T) -> Self {
        // SAFETY: the caller promises the elements.
        Self(unsafe { source.cast::<[T; N]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, target: *mut T) {
        // SAFETY: the caller promises the elements.
        unsafe { target.cast::<[T; N]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn load_runs(source: *const T, offsets: *const usize) -> Self {
        // SAFETY: the caller promises the elements and the offset.
        unsafe { Self::load(source.add(*offsets)) }
    }

    #[inline(always)]
    unsafe fn store_runs(self, target: *mut T, offsets: *const usize) {
        // SAFETY: the caller promises the elements and the offset.
        unsafe { self.store(target.add(*offsets)) }
    }

    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }

    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] - other.0[i]))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use crate::kernels::vector::{Kernel, SQUARE, Vector, transpose};

    macro_rules! vector {
        ($vector:ty, $element:ty, $lanes:literal, $runs:literal, $splat:ident, $load:ident,
         $store:ident, $fma:ident, $add:ident, $subtract:ident, $transpose:ident, $load_runs:expr,
         $store_runs:expr) => {
            // SAFETY: each function does what the trait says, with instructions of the vector's
            // set.
            unsafe impl Vector for $vector {
                type Element = $element;
                const LANES: usize = $lanes;
                const RUNS: usize = $runs;

                #[inline(always)]
                unsafe fn splat(value: $element) -> Self {
                    // SAFETY: the caller promises the instruction set; also below.
                    unsafe { $splat(value) }
                }

                #[inline(always)]
                unsafe fn load(source: *const $element) -> Self {
                    // SAFETY: the caller promises the elements.
                    unsafe { $load(source) }
                }

                #[inline(always)]
                unsafe fn store(self, target: *mut $element) {
                    // SAFETY: the caller promises the elements.
                    unsafe { $store(target, self) }
                }

                #[inline(always)]
                unsafe fn load_runs(source: *const $element, offsets: *const usize) -> Self {
                    // SAFETY: the caller promises the elements and the offsets.
                    unsafe { $load_runs(source, offsets) }
                }

                #[inline(always)]
                unsafe fn store_runs(self, target: *mut $element, offsets: *const usize) {
                    // SAFETY: the caller promises the elements and the offsets.
                    unsafe { $store_runs(self, target, offsets) }
                }

                #[inline(always)]
                unsafe fn add_product(self, a: Self, b: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $fma(a, b, self) }
                }

                #[inline(always)]
                unsafe fn add(self, other: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $add(self, other) }
                }

                #[inline(always)]
                unsafe fn subtract(self, other: Self) -> Self {
                    // SAFETY: as above.
                    unsafe { $subtract(self, other) }
                }

                #[inline(always)]
                unsafe fn transpose(
                    source: *const $element,
                    source_pitch: usize,
                    target: *mut $element,
                    target_pitch: usize,
                ) {
                    // SAFETY: the caller promises the elements.
                    unsafe { $transpose(source, source_pitch, target, target_pitch) }
                }
            }
        };
    }

    vector!(
        __m256,
        f32,
        8,
        1,
        _mm256_set1_ps,
        _mm256_loadu_ps,
        _mm256_storeu_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        _mm256_sub_ps,
        transpose_f32,
        |source: *const f32, offsets: *const usize| _mm256_loadu_ps(source.add(*offsets)),
        |vector, target: *mut f32, offsets: *const usize| {
            _mm256_storeu_ps(target.add(*offsets), vector)
        }
    );
    vector!(
        __m256d,
        f64,
        4,
        1,
        _mm256_set1_pd,
        _mm256_loadu_pd,
        _mm256_storeu_pd,
        _mm256_fmadd_pd,
        _mm256_add_pd,
        _mm256_sub_pd,
        transpose,
        |source: *const f64, offsets: *const usize| _mm256_loadu_pd(source.add(*offsets)),
        |vector, target: *mut f64, offsets: *const usize| {
            _mm256_storeu_pd(target.add(*offsets), vector)
        }
    );
    vector!(
        __m512,
        f32,
        16,
        2,
        _mm512_set1_ps,
        _mm512_loadu_ps,
        _mm512_storeu_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        _mm512_sub_ps,
        transpose_f32,
        |source: *const f32, offsets: *const usize| {
            let first = _mm256_loadu_ps(source.add(*offsets));
            let second = _mm256_loadu_ps(source.add(*offsets.add(1)));
            _mm512_insertf32x8::<1>(_mm512_castps256_ps512(first), second)
        },
        |vector, target: *mut f32, offsets: *const usize| {
            _mm256_storeu_ps(target.add(*offsets), _mm512_castps512_ps256(vector));
            let second = _mm512_extractf32x8_ps::<1>(vector);
            _mm256_storeu_ps(target.add(*offsets.add(1)), second);
        }
    );
    vector!(
        __m512d,
        f64,
        8,
        2,
        _mm512_set1_pd,
        _mm512_loadu_pd,
        _mm512_storeu_pd,
        _mm512_fmadd_pd,
        _mm512_add_pd,
        _mm512_sub_pd,
        transpose,
        |source: *const f64, offsets: *const usize| {
            let first = _mm256_loadu_pd(source.add(*offsets));
            let second = _mm256_loadu_pd(source.add(*offsets.add(1)));
            _mm512_insertf64x4::<1>(_mm512_castpd256_pd512(first), second)
        },
        |vector, target: *mut f64, offsets: *const usize| {
            _mm256_storeu_pd(target.add(*offsets), _mm512_castpd512_pd256(vector));
            let second = _mm512_extractf64x4_pd::<1>(vector);
            _mm256_storeu_pd(target.add(*offsets.add(1)), second);
        }
    );

    /// [`Vector::transpose`] with the shuffles of AVX.
    ///
    /// # Safety
    /// The CPU must have AVX, and the lines must be readable and writable.
    #[inline(always)]
    unsafe fn transpose_f32(
        source: *const f32,
        source_pitch: usize,
        target: *mut f32,
        target_pitch: usize,
    ) {
        // SAFETY: as promised by the caller.
        unsafe {
            let rows: [__m256; SQUARE] =
                std::array::from_fn(|i| _mm256_loadu_ps(source.add(i * source_pitch)));
            // In each half of a vector, first pairs and then fours of neighbouring rows.
            let pairs: [[__m256; 2]; 4] = std::array::from_fn(|i| {
                let (a, b) = (rows[2 * i], rows[2 * i + 1]);
                [_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)]
            });
            let fours = |first: usize| -> [__m256; 4] {
                let ([a, b], [c, d]) = (pairs[first], pairs[first + 1]);
                [
                    _mm256_shuffle_ps::<0b01_00_01_00>(a, c),
                    _mm256_shuffle_ps::<0b11_10_11_10>(a, c),
                    _mm256_shuffle_ps::<0b01_00_01_00>(b, d),
                    _mm256_shuffle_ps::<0b11_10_11_10>(b, d),
                ]
            };
            let (above, below) = (fours(0), fours(2));
            for (j, (above, below)) in above.into_iter().zip(below).enumerate() {
                let low = _mm256_permute2f128_ps::<0x20>(above, below);
                let high = _mm256_permute2f128_ps::<0x31>(above, below);
                _mm256_storeu_ps(target.add(j * target_pitch), low);
                _mm256_storeu_ps(target.add((j + 4) * target_pitch), high);
            }
        }
    }

    /// Runs `kernel` with `V`.
    ///
    /// # Safety
    /// The CPU must have AVX2 and FMA, and `V` must need nothing else.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn with_avx2<V: Vector>(kernel: impl Kernel<V::Element>) {
        // SAFETY: as promised by the caller.
        unsafe { kernel.run::<V>() }
    }

    /// Runs `kernel` with `V`.
    ///
    /// # Safety
    /// The CPU must have AVX2, FMA, AVX-512 F and DQ, and `V` must need nothing else.
    #[target_feature(enable = "avx2,fma,avx512f,avx512dq")]
    pub(super) unsafe fn with_avx512<V: Vector>(kernel: impl Kernel<V::Element>) {
        // SAFETY: as promised by the caller.
        unsafe { kernel.run::<V>() }
    }
}

/// Runs kernels with the widest vectors that fit. Which these are depends on the CPU alone, so
/// results are the same on one machine.
pub(crate) trait Dispatch: WithDType {
    /// The lanes of the shortest vectors that may be chosen; others have a multiple.
    const LANES: usize;

    /// Runs `kernel`.
    fn dispatch(kernel: impl Kernel<Self>);
}

macro_rules! dispatch {
    ($element:ty, $lanes:literal, $avx2:ident, $avx512:ident) => {
        impl Dispatch for $element {
            const LANES: usize = $lanes;

            fn dispatch(kernel: impl Kernel<Self>) {
                match InstructionSet::current() {
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 if kernel.fits(2 * $lanes) => {
                        // SAFETY: the CPU has the instruction set, and the vector needs no other.
                        unsafe { x86::with_avx512::<std::arch::x86_64::$avx512>(kernel) }
                    }
                    #[cfg(target_arch = "x86_64")]
                    InstructionSet::Avx512 | InstructionSet::Avx2 => {
                        // SAFETY: as above; AVX-512 includes AVX2.
                        unsafe { x86::with_avx2::<std::arch::x86_64::$avx2>(kernel) }
                    }
                    // SAFETY: portable vectors run on any CPU.
                    _ => unsafe { kernel.run::<Portable<Self, $lanes>>() },
                }
            }
        }
    };
}

dispatch!(f32, 8, __m256, __m512);
dispatch!(f64, 4, __m256d, __m512d);
