//! The 18 problems for unconstrained minimization of J. J. Moré, B. S. Garbow & K. E. Hillstrom,
//! Testing Unconstrained Optimization Software, ACM TOMS 7, 1981 (algorithm 566), with the starts
//! and minima published there. All are sums of squares.
//! [`Function::scaled_start`](crate::Function::scaled_start) gives the starts 10 and 100 times as
//! far.

mod biggs;
mod box_3d;
mod brown_badly_scaled;
mod brown_dennis;
mod chebyquad;
pub(crate) mod extended_powell;
pub(crate) mod extended_rosenbrock;
mod gaussian;
mod gulf;
mod helical_valley;
pub(crate) mod penalty_1;
mod penalty_2;
mod powell_badly_scaled;
pub(crate) mod trigonometric;
pub(crate) mod variably_dimensioned;
mod watson;
pub(crate) mod wood;

use crate::TestFunction;
use crate::classic::beale;

/// All of them, in the article's order.
pub const FUNCTIONS: &[&TestFunction] = &[
    &helical_valley::HELICAL_VALLEY,
    &biggs::BIGGS,
    &gaussian::GAUSSIAN,
    &powell_badly_scaled::POWELL_BADLY_SCALED,
    &box_3d::BOX_3D,
    &variably_dimensioned::VARIABLY_DIMENSIONED,
    &watson::WATSON,
    &penalty_1::PENALTY_1,
    &penalty_2::PENALTY_2,
    &brown_badly_scaled::BROWN_BADLY_SCALED,
    &brown_dennis::BROWN_DENNIS,
    &gulf::GULF,
    &trigonometric::TRIGONOMETRIC,
    &extended_rosenbrock::EXTENDED_ROSENBROCK,
    &extended_powell::EXTENDED_POWELL,
    &beale::BEALE,
    &wood::WOOD,
    &chebyquad::CHEBYQUAD,
];
