//! Extended Wood: the function of Wood in groups of four variables.

use crate::mgh::wood;
use crate::{Dimensions, Function, LARGEST, TestFunction};

/// The sum of [`wood::WOOD`] over x₁ … x₄, x₅ … x₈ and so on, minimum 0 at (1, …, 1).
pub(crate) const EXTENDED_WOOD: TestFunction = TestFunction::new(
    "extended-wood",
    "Extended Wood function (WOODS)",
    "A. R. Colville, A Comparative Study of Nonlinear Programming Codes, IBM New York 320-2949, \
    1968; extended in CUTEst, after problem 14 of Moré, Garbow & Hillstrom, ACM TOMS 7, 1981",
    Dimensions::multiples(4, LARGEST),
    |d| {
        Function::new([-3.0, -1.0].repeat(d / 2), wood::evaluate).with_minimum_at(0.0, vec![1.0; d])
    },
);
