//! Functions that run on the CPU alone. On GPUs, layers take tensor operations, or the parts of the
//! function, instead.

use super::OnGpu;
use crate::kernels::{ConvolvePool, GroupNormalize};

impl OnGpu<3> for ConvolvePool {}
impl OnGpu<3> for GroupNormalize {}
