//! The smallest value of a convex sum.

use bench_functions::lanes::{add_scaled, dot};

use super::sum::FiniteSum;

/// Newton steps at most; five to twenty are usual.
const STEPS: usize = 100;
/// A Newton step lowers the value by about half its decrement: it stops below this share of it.
const SHARE: f64 = 1e-16;
/// The Cholesky factorisation gets this share of the mean eigenvalue, ten times as much until it
/// exists: the Hessian may be singular where samples do not tell features apart.
const SHIFT: f64 = 1e-14;
/// A step is halved until it lowers the value by this share of what its slope promises.
const ARMIJO: f64 = 1e-4;

/// min f by Newton's method with steps that are halved where they do not lower the value. For least
/// squares the first step solves the normal equations. Where the infimum is not attained, as in
/// logistic regression on samples that a plane separates, the value comes close to it.
pub(super) fn minimum(sum: &FiniteSum) -> f64 {
    let all: Vec<u32> = (0..sum.samples() as u32).collect();
    let mut x = vec![0.0; sum.dimension()];
    let mut gradient = x.clone();
    let mut value = sum.evaluate(&all, &x, &mut gradient);
    for _ in 0..STEPS {
        let Some(step) = solve(&sum.hessian(&x), &gradient) else {
            break;
        };
        let decrement = dot(&step, &gradient);
        if decrement <= SHARE * value {
            break;
        }
        let mut length = 1.0;
        let (next, lower) = loop {
            let next: Vec<f64> = x.iter().zip(&step).map(|(x, s)| x - length * s).collect();
            let lower = sum.evaluate(&all, &next, &mut gradient);
            if lower <= value - ARMIJO * length * decrement {
                break (next, lower);
            }
            length /= 2.0;
            if length < f64::EPSILON {
                // Rounding is all that is left.
                return value.min(lower);
            }
        };
        (x, value) = (next, lower);
    }
    value
}

/// H⁻¹g for a positive semidefinite H, of which the lower triangle is given row after row, by
/// Cholesky's factorisation; none where numbers are not finite.
fn solve(hessian: &[f64], gradient: &[f64]) -> Option<Vec<f64>> {
    let d = gradient.len();
    let mean = (0..d).map(|i| hessian[i * d + i]).sum::<f64>() / d as f64;
    let mut shift = SHIFT * mean;
    while shift <= mean {
        if let Some(factor) = cholesky(hessian, shift, d) {
            return Some(substitute(&factor, gradient));
        }
        shift *= 10.0;
    }
    None
}

/// L with LLᵀ = H + `shift`·I, row after row.
fn cholesky(hessian: &[f64], shift: f64, d: usize) -> Option<Vec<f64>> {
    let mut factor = hessian.to_vec();
    for i in 0..d {
        let (above, row) = factor.split_at_mut(i * d);
        for j in 0..i {
            let other = &above[j * d..];
            row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let square = row[i] + shift - dot(&row[..i], &row[..i]);
        if !(square > 0.0 && square.is_finite()) {
            return None;
        }
        row[i] = square.sqrt();
    }
    Some(factor)
}

/// The solution of LLᵀs = g.
fn substitute(factor: &[f64], gradient: &[f64]) -> Vec<f64> {
    let d = gradient.len();
    let mut s = gradient.to_vec();
    for i in 0..d {
        s[i] = (s[i] - dot(&factor[i * d..i * d + i], &s[..i])) / factor[i * d + i];
    }
    for i in (0..d).rev() {
        s[i] /= factor[i * d + i];
        let (before, at) = s.split_at_mut(i);
        add_scaled(-at[0], &factor[i * d..], before);
    }
    s
}
