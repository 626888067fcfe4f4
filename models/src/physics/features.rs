//! What the network sees of a point: x and t themselves, or waves of them.

use std::ops::Range;

use rand::Rng;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};

use super::jet::{Orders, Point};
use super::kernel::real::Real;
use crate::{Error, Result};

/// The network's inputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Features {
    /// x and t.
    #[default]
    Plain,
    /// t, and cos(k x 2π / L), sin(k x 2π / L) for k = 1 … `harmonics`, where L is the domain's length:
    /// u is periodic in x, and so are its derivatives.
    Periodic {
        /// The number of waves, 1 to 64.
        harmonics: usize,
    },
    /// cos(2π b·(x, t)) and sin(2π b·(x, t)) for `count` random frequencies b (Tancik et al. 2020).
    Fourier {
        /// The number of waves, 1 to 256.
        count: usize,
        /// The standard deviation of each frequency's components.
        scale: f64,
    },
}

impl Features {
    /// Whether the settings are in range.
    ///
    /// # Errors
    /// Naming the setting at fault.
    pub fn check(&self) -> Result<()> {
        let range = |name, value, most: usize| {
            if (1..=most).contains(&value) {
                Ok(())
            } else {
                Err(Error::setting(name, value, format!("1 to {most}")))
            }
        };
        match *self {
            Self::Plain => Ok(()),
            Self::Periodic { harmonics } => range("network.features.harmonics", harmonics, 64),
            Self::Fourier { count, scale } => {
                range("network.features.count", count, 256)?;
                if !(scale > 0.0 && scale.is_finite()) {
                    let expected = "a finite number above 0";
                    return Err(Error::setting("network.features.scale", scale, expected));
                }
                Ok(())
            }
        }
    }

    /// The features on a domain of length `length`; random frequencies come from `rng`.
    pub(super) fn build(&self, length: f64, rng: &mut impl Rng) -> FeatureMap {
        let tau = std::f64::consts::TAU;
        match *self {
            Self::Plain => FeatureMap {
                linear: vec![0, 1],
                waves: Vec::new(),
            },
            Self::Periodic { harmonics } => FeatureMap {
                linear: vec![1],
                waves: (1..=harmonics)
                    .map(|k| [tau * k as f64 / length, 0.0])
                    .collect(),
            },
            Self::Fourier { count, scale } => {
                let mut component = || tau * scale * rng.sample::<f64, _>(StandardNormal);
                FeatureMap {
                    linear: Vec::new(),
                    waves: (0..count).map(|_| [component(), component()]).collect(),
                }
            }
        }
    }
}

/// The features as functions of a point: coordinates, then a cosine and a sine for each wave vector.
#[derive(Debug, Clone)]
pub(super) struct FeatureMap {
    linear: Vec<usize>,
    waves: Vec<[f64; 2]>,
}

impl FeatureMap {
    /// The number of features.
    pub(super) fn len(&self) -> usize {
        self.linear.len() + 2 * self.waves.len()
    }

    /// The features of `points`; cosines and sines are computed once, here.
    pub(super) fn inputs(&self, points: &[Point]) -> Inputs {
        let wave = |point: &Point, w: &[f64; 2]| {
            let phase = w[0] * point[0] + w[1] * point[1];
            [libm::cos(phase), libm::sin(phase)]
        };
        Inputs {
            map: self.clone(),
            points: points.to_vec(),
            waves: points
                .iter()
                .flat_map(|point| self.waves.iter().map(move |w| wave(point, w)))
                .collect(),
        }
    }
}

/// The features of a list of points.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    map: FeatureMap,
    points: Vec<Point>,
    /// Cosine and sine of each wave at each point.
    waves: Vec<[f64; 2]>,
}

impl Inputs {
    /// The number of points.
    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }

    /// Writes the features and their derivatives into `rows`: the channel c of the i-th point of `range`
    /// is row `c * points + first + i`.
    pub(crate) fn write<T: Real>(
        &self,
        range: Range<usize>,
        orders: Orders,
        first: usize,
        points: usize,
        rows: &mut [T],
    ) {
        let count = self.map.len();
        let waves = self.map.waves.len();
        for (i, index) in range.enumerate() {
            let mut set = |channel: usize, feature: usize, value: f64| {
                rows[(channel * points + first + i) * count + feature] = T::from_f64(value);
            };
            let point = &self.points[index];
            for (feature, axis) in self.map.linear.iter().enumerate() {
                set(0, feature, point[*axis]);
                for (input, (channel, order)) in orders.by_input().into_iter().enumerate() {
                    for k in 0..order {
                        let slope = if k == 0 && input == *axis { 1.0 } else { 0.0 };
                        set(channel + k, feature, slope);
                    }
                }
            }
            let values = &self.waves[index * waves..(index + 1) * waves];
            for (j, ([cos, sin], w)) in values.iter().zip(&self.map.waves).enumerate() {
                let feature = self.map.linear.len() + 2 * j;
                set(0, feature, *cos);
                set(0, feature + 1, *sin);
                for (w, (channel, order)) in w.iter().zip(orders.by_input()) {
                    if order >= 1 {
                        set(channel, feature, -w * sin);
                        set(channel, feature + 1, w * cos);
                    }
                    if order == 2 {
                        set(channel + 1, feature, -w * w * cos);
                        set(channel + 1, feature + 1, -w * w * sin);
                    }
                }
            }
        }
    }
}
