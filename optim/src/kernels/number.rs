//! The number types of parameters and of the arithmetic done on them.

use candle_core::{CpuStorage, WithDType};
use half::{bf16, f16};

/// The number type in which state is kept and updates are computed.
pub(crate) trait Real: WithDType {
    fn sqrt(self) -> Self;
    fn max(self, other: Self) -> Self;
}

impl Real for f32 {
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn max(self, other: Self) -> Self {
        self.max(other)
    }
}

impl Real for f64 {
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn max(self, other: Self) -> Self {
        self.max(other)
    }
}

/// The number type of parameters and gradients. Half-precision types compute in f32.
pub(crate) trait Element: WithDType {
    type Real: Real + Element<Real = Self::Real>;
    fn widen(self) -> Self::Real;
    fn narrow(value: Self::Real) -> Self;
    /// The elements of `storage`, if it is of this type.
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

macro_rules! element {
    ($type:ty, $real:ty, $variant:ident, $widen:expr, $narrow:expr) => {
        impl Element for $type {
            type Real = $real;
            #[inline(always)]
            fn widen(self) -> $real {
                $widen(self)
            }
            #[inline(always)]
            fn narrow(value: $real) -> Self {
                $narrow(value)
            }
            fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
                match storage {
                    CpuStorage::$variant(elements) => Some(elements),
                    _ => None,
                }
            }
        }
    };
}

element!(
    f32,
    f32,
    F32,
    std::convert::identity,
    std::convert::identity
);
element!(
    f64,
    f64,
    F64,
    std::convert::identity,
    std::convert::identity
);
element!(bf16, f32, BF16, bf16::to_f32, bf16::from_f32);
element!(f16, f32, F16, f16::to_f32, f16::from_f32);
