//! The random numbers of BBOB 2009, from which COCO makes instances: shifts, rotations and minimal
//! values. Every detail matters, because instances are what others publish results on.

use std::f64::consts::PI;

/// What a function and an instance fix in a dimension.
#[derive(Clone, Copy)]
pub(super) struct Instance {
    /// The dimension d.
    pub(super) dimension: usize,
    /// The seed of most of its random numbers.
    pub(super) seed: i64,
}

/// The second seed of an instance is this much larger.
const SECOND: i64 = 1_000_000;

impl Instance {
    /// The instance of a function, by the function's number.
    pub(super) fn new(function: i64, dimension: usize, instance: u64) -> Self {
        // Functions 4 and 18 share the random numbers of their relatives 3 and 17.
        let function = match function {
            4 => 3,
            18 => 17,
            _ => function,
        };
        Self {
            dimension,
            seed: function + 10_000 * instance as i64,
        }
    }

    /// The minimal value f_opt: a ratio of normal draws, so Cauchy, clipped to ±1000 and rounded to
    /// two decimals.
    pub(super) fn minimum(self) -> f64 {
        let ratio = 100.0 * 100.0 * normal(1, self.seed)[0] / normal(1, self.seed + 1)[0];
        (round(ratio) / 100.0).clamp(-1000.0, 1000.0)
    }

    /// The minimizer x_opt, in [−4, 4)ᵈ with four decimals and never 0.
    pub(super) fn minimizer(self) -> Vec<f64> {
        minimizer(self.dimension, self.seed)
    }

    /// A minimizer from the second seed.
    pub(super) fn second_minimizer(self) -> Vec<f64> {
        minimizer(self.dimension, self.seed + SECOND)
    }

    /// The rotation Q, column by column.
    pub(super) fn rotation(self) -> Vec<f64> {
        rotation(self.dimension, self.seed)
    }

    /// The rotation R, column by column, from the second seed.
    pub(super) fn second_rotation(self) -> Vec<f64> {
        rotation(self.dimension, self.seed + SECOND)
    }
}

/// Rounds halves up, as C's `floor(x + 0.5)`.
pub(super) fn round(x: f64) -> f64 {
    (x + 0.5).floor()
}

/// Uniform numbers in (0, 1): the generator of Park and Miller, shuffled through 32 places.
pub(super) fn uniform(count: usize, seed: i64) -> Vec<f64> {
    let mut state = seed.abs().max(1);
    let mut next = || {
        // Schrage's method for 16807 · state mod (2³¹ − 1).
        let quotient = state / 127_773;
        state = 16_807 * (state - quotient * 127_773) - 2_836 * quotient;
        if state < 0 {
            state += 2_147_483_647;
        }
        state
    };
    let mut places = [0; 32];
    for i in (0..40).rev() {
        let number = next();
        if i < 32 {
            places[i] = number;
        }
    }
    let mut drawn = places[0];
    let draw = |_| {
        let number = next();
        let place = (drawn / 67_108_865) as usize;
        drawn = places[place];
        places[place] = number;
        match drawn {
            0 => 1e-99,
            _ => drawn as f64 / 2.147_483_647e9,
        }
    };
    (0..count).map(draw).collect()
}

/// Standard normal numbers, by Box and Muller.
pub(super) fn normal(count: usize, seed: i64) -> Vec<f64> {
    let uniform = uniform(2 * count, seed);
    let (radii, angles) = uniform.split_at(count);
    let draw = |(radius, angle): (&f64, &f64)| match (-2.0 * radius.ln()).sqrt()
        * (2.0 * PI * angle).cos()
    {
        0.0 => 1e-99,
        number => number,
    };
    radii.iter().zip(angles).map(draw).collect()
}

fn minimizer(dimension: usize, seed: i64) -> Vec<f64> {
    let scale = |u: f64| match 8.0 * (1e4 * u).floor() / 1e4 - 4.0 {
        0.0 => -1e-5,
        x => x,
    };
    uniform(dimension, seed).into_iter().map(scale).collect()
}

/// A random rotation, column by column: normal numbers, made orthonormal with Gram and Schmidt.
fn rotation(dimension: usize, seed: i64) -> Vec<f64> {
    let mut columns = normal(dimension * dimension, seed);
    for i in 0..dimension {
        let (before, own) = columns.split_at_mut(i * dimension);
        let own = &mut own[..dimension];
        for other in before.chunks_exact(dimension) {
            let product: f64 = own.iter().zip(other).map(|(a, b)| a * b).sum();
            for (a, b) in own.iter_mut().zip(other) {
                *a -= product * b;
            }
        }
        let norm = own.iter().map(|a| a * a).sum::<f64>().sqrt();
        for a in own {
            *a /= norm;
        }
    }
    columns
}
