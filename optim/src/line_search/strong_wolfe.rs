//! Bracketing and zoom with cubic interpolation, in the order of decisions that
//! `torch.optim.LBFGS` makes, so that both evaluate the same points.

use super::trial::{Conditions, Line, Outcome, Trial};
use crate::error::Result;

/// Searches from `first`, with at most `trials` ≥ 1 trials. A bracket whose ends are `narrow` ends
/// the search.
pub(crate) fn strong_wolfe<G: Clone>(
    phi: &mut impl Line<G>,
    start: Trial<G>,
    first: f64,
    conditions: Conditions,
    narrow: impl Fn(f64, f64) -> bool,
    trials: u64,
) -> Result<Outcome<G>> {
    let Conditions { c1, c2 } = conditions;
    let (loss0, slope0) = (start.loss, start.slope);
    let too_high = |trial: &Trial<G>| trial.loss > loss0 + c1 * trial.t * slope0;
    let flat = |trial: &Trial<G>| trial.slope.abs() <= -c2 * slope0;

    let mut previous = start.clone();
    let mut current = phi(first)?;
    let mut made = 1;
    // Ends a and b of an interval that holds a point satisfying the conditions.
    let (mut a, mut b) = loop {
        if made >= trials {
            break (start, current);
        }
        if too_high(&current) || (made > 2 && current.loss >= previous.loss) {
            break (previous, current);
        }
        if flat(&current) {
            return Ok(Outcome {
                best: current,
                satisfied: true,
            });
        }
        if current.slope >= 0.0 {
            break (previous, current);
        }
        let bounds = (
            current.t + 0.01 * (current.t - previous.t),
            current.t * 10.0,
        );
        let t = cubic_minimizer(&previous, &current, bounds);
        previous = std::mem::replace(&mut current, phi(t)?);
        made += 1;
    };

    let mut satisfied = false;
    let mut near_end = false;
    while !satisfied && made < trials && !narrow(a.t, b.t) {
        let (least, most) = (a.t.min(b.t), a.t.max(b.t));
        let mut t = cubic_minimizer(&a, &b, (least, most));
        // Twice in a row close to an end, or on it: move a tenth of the interval inwards.
        let margin = 0.1 * (most - least);
        let close = (most - t).min(t - least) < margin;
        if close && (near_end || t >= most || t <= least) {
            t = if (t - most).abs() < (t - least).abs() {
                most - margin
            } else {
                least + margin
            };
            near_end = false;
        } else {
            near_end = close;
        }

        let trial = phi(t)?;
        made += 1;
        let (low, high) = if a.loss <= b.loss {
            (&mut a, &mut b)
        } else {
            (&mut b, &mut a)
        };
        if too_high(&trial) || trial.loss >= low.loss {
            *high = trial;
        } else {
            satisfied = flat(&trial);
            if !satisfied && trial.slope * (high.t - low.t) >= 0.0 {
                std::mem::swap(high, low);
            }
            *low = trial;
        }
    }
    let best = if a.loss <= b.loss { a } else { b };
    // A bracket that the last trial closed was not judged yet.
    let satisfied = !too_high(&best) && flat(&best);
    Ok(Outcome { best, satisfied })
}

/// The minimizer of the cubic through two points and their slopes (Nocedal & Wright 2006, eq.
/// 3.59), within `bounds`; their midpoint where the cubic has none or a point is not finite.
fn cubic_minimizer<G>(a: &Trial<G>, b: &Trial<G>, bounds: (f64, f64)) -> f64 {
    let (low, high) = if a.t <= b.t { (a, b) } else { (b, a) };
    let d1 = a.slope + b.slope - 3.0 * (a.loss - b.loss) / (a.t - b.t);
    let radicand = d1 * d1 - a.slope * b.slope;
    let minimizer = if radicand >= 0.0 {
        let d2 = radicand.sqrt();
        high.t - (high.t - low.t) * ((high.slope + d2 - d1) / (high.slope - low.slope + 2.0 * d2))
    } else {
        f64::NAN
    };
    if minimizer.is_nan() {
        0.5 * (bounds.0 + bounds.1)
    } else {
        minimizer.max(bounds.0).min(bounds.1)
    }
}
