//! Forward-mode differentiation: exact gradients of formulas written once, for functions of few
//! variables.
#![allow(dead_code)]

use std::ops::{Add, Div, Mul, Neg, Sub};

/// A value and its derivative with respect to one variable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dual {
    pub(crate) value: f64,
    pub(crate) slope: f64,
}

impl Dual {
    fn chain(self, value: f64, slope: f64) -> Self {
        Self {
            value,
            slope: slope * self.slope,
        }
    }

    pub(crate) fn exp(self) -> Self {
        self.chain(self.value.exp(), self.value.exp())
    }

    pub(crate) fn ln(self) -> Self {
        self.chain(self.value.ln(), 1.0 / self.value)
    }

    pub(crate) fn sqrt(self) -> Self {
        self.chain(self.value.sqrt(), 0.5 / self.value.sqrt())
    }

    pub(crate) fn sin(self) -> Self {
        self.chain(self.value.sin(), self.value.cos())
    }

    pub(crate) fn cos(self) -> Self {
        self.chain(self.value.cos(), -self.value.sin())
    }

    pub(crate) fn atan(self) -> Self {
        self.chain(self.value.atan(), 1.0 / (1.0 + self.value * self.value))
    }

    pub(crate) fn abs(self) -> Self {
        self.chain(self.value.abs(), self.value.signum())
    }

    pub(crate) fn powi(self, n: i32) -> Self {
        self.chain(
            self.value.powi(n),
            f64::from(n) * self.value.powi((n - 1).max(0)),
        )
    }
}

impl From<f64> for Dual {
    fn from(value: f64) -> Self {
        Self { value, slope: 0.0 }
    }
}

impl Neg for Dual {
    type Output = Self;
    fn neg(self) -> Self {
        self.chain(-self.value, -1.0)
    }
}

macro_rules! operator {
    ($trait:ident, $name:ident, |$a:ident, $b:ident| $value:expr, $slope:expr) => {
        impl $trait for Dual {
            type Output = Dual;
            fn $name(self, other: Dual) -> Dual {
                let ($a, $b) = (self, other);
                Dual {
                    value: $value,
                    slope: $slope,
                }
            }
        }

        impl $trait<f64> for Dual {
            type Output = Dual;
            fn $name(self, other: f64) -> Dual {
                $trait::$name(self, Dual::from(other))
            }
        }

        impl $trait<Dual> for f64 {
            type Output = Dual;
            fn $name(self, other: Dual) -> Dual {
                $trait::$name(Dual::from(self), other)
            }
        }
    };
}

operator!(Add, add, |a, b| a.value + b.value, a.slope + b.slope);
operator!(Sub, sub, |a, b| a.value - b.value, a.slope - b.slope);
operator!(
    Mul,
    mul,
    |a, b| a.value * b.value,
    a.slope * b.value + a.value * b.slope
);
operator!(
    Div,
    div,
    |a, b| a.value / b.value,
    (a.slope * b.value - a.value * b.slope) / (b.value * b.value)
);

impl std::iter::Sum for Dual {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(Dual::from(0.0), Add::add)
    }
}

/// The sum of squares of `residuals` at x, and its gradient.
pub(crate) fn sum_of_squares(
    residuals: impl Fn(&[Dual]) -> Vec<Dual>,
    x: &[f64],
) -> (f64, Vec<f64>) {
    let mut loss = 0.0;
    let gradient = (0..x.len()).map(|variable| {
        let x: Vec<Dual> = x
            .iter()
            .enumerate()
            .map(|(i, &value)| Dual {
                value,
                slope: f64::from(u8::from(i == variable)),
            })
            .collect();
        let sum: Dual = residuals(&x).into_iter().map(|r| r * r).sum();
        loss = sum.value;
        sum.slope
    });
    let gradient = gradient.collect();
    (loss, gradient)
}
