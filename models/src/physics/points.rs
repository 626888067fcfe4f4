//! Where residuals are taken, and where conditions hold.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::equation::{Domain, Edge};
use super::jet::Point;
use crate::{Error, Result};

/// The numbers and the placement of points. The defaults are those of Rathore et al. 2024: 257 × 101
/// points on the closed rectangle, 10,000 residual points drawn once from the 255 × 100 that lie
/// neither at the ends of x nor at the smallest t.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PointsConfig {
    /// Residual points, at most a million.
    pub residual: usize,
    /// How residual points are drawn.
    pub placement: Placement,
    /// Points of the grid in x, both ends included; so many points has a condition at the smallest or
    /// the largest t. 3 to 10,000.
    pub grid_x: usize,
    /// Points of the grid in t, both ends included; so many points has a condition at an end of x.
    /// 2 to 10,000.
    pub grid_t: usize,
}

/// How residual points are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placement {
    /// From the inner grid, none twice.
    Grid,
    /// Uniformly from the rectangle.
    Uniform,
}

impl Default for PointsConfig {
    fn default() -> Self {
        Self {
            residual: 10_000,
            placement: Placement::Grid,
            grid_x: 257,
            grid_t: 101,
        }
    }
}

impl PointsConfig {
    /// Whether the settings are in range.
    ///
    /// # Errors
    /// Naming the setting at fault.
    pub fn check(&self) -> Result<()> {
        if !(3..=10_000).contains(&self.grid_x) {
            return Err(Error::setting("points.grid_x", self.grid_x, "3 to 10000"));
        }
        if !(2..=10_000).contains(&self.grid_t) {
            return Err(Error::setting("points.grid_t", self.grid_t, "2 to 10000"));
        }
        let (most, reason) = match self.placement {
            Placement::Grid => (self.inner(), ", the points of the inner grid"),
            Placement::Uniform => (1_000_000, ""),
        };
        let most = most.min(1_000_000);
        if !(1..=most).contains(&self.residual) {
            let expected = format!("1 to {most}{reason}");
            return Err(Error::setting("points.residual", self.residual, expected));
        }
        Ok(())
    }

    /// How many points the inner grid has.
    fn inner(&self) -> usize {
        (self.grid_x - 2) * (self.grid_t - 1)
    }

    /// Draws the residual points.
    pub(super) fn draw(&self, domain: &Domain, rng: &mut impl Rng) -> Vec<Point> {
        match self.placement {
            Placement::Grid => rand::seq::index::sample(rng, self.inner(), self.residual)
                .into_iter()
                .map(|index| self.inner_point(domain, index))
                .collect(),
            Placement::Uniform => (0..self.residual)
                .map(|_| {
                    [domain.x, domain.t].map(|[low, high]| low + (high - low) * rng.random::<f64>())
                })
                .collect(),
        }
    }

    /// The points of an edge, from the lowest; the left ones where it has two sides.
    pub(super) fn edge(&self, domain: &Domain, edge: Edge) -> Vec<Point> {
        let along_x = |t: f64| {
            (0..self.grid_x)
                .map(|i| [place(domain.x, i, self.grid_x), t])
                .collect()
        };
        let along_t = |x: f64| {
            (0..self.grid_t)
                .map(|i| [x, place(domain.t, i, self.grid_t)])
                .collect()
        };
        match edge {
            Edge::Start => along_x(domain.t[0]),
            Edge::End => along_x(domain.t[1]),
            Edge::Left | Edge::Periodic => along_t(domain.x[0]),
            Edge::Right => along_t(domain.x[1]),
        }
    }

    /// What the error of a solution is measured on: the inner grid, the line of the smallest t, and both
    /// ends of x, as Rathore et al. 2024 do. The corners at the smallest t count twice.
    pub(super) fn measured(&self, domain: &Domain) -> Vec<Point> {
        let mut points: Vec<Point> = (0..self.inner())
            .map(|index| self.inner_point(domain, index))
            .collect();
        for edge in [Edge::Start, Edge::Left, Edge::Right] {
            points.extend(self.edge(domain, edge));
        }
        points
    }

    fn inner_point(&self, domain: &Domain, index: usize) -> Point {
        let (row, column) = (index / (self.grid_x - 2), index % (self.grid_x - 2));
        [
            place(domain.x, column + 1, self.grid_x),
            place(domain.t, row + 1, self.grid_t),
        ]
    }
}

/// The i-th of so many evenly spaced points; the last one is the end itself.
fn place([low, high]: [f64; 2], index: usize, count: usize) -> f64 {
    let share = index as f64 / (count - 1) as f64;
    low * (1.0 - share) + high * share
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const DOMAIN: Domain = Domain {
        x: [-1.0, 3.0],
        t: [0.0, 2.0],
    };

    #[test]
    fn the_grid_is_drawn_without_replacement() {
        let config = PointsConfig {
            residual: 12,
            grid_x: 5,
            grid_t: 5,
            ..PointsConfig::default()
        };
        let mut points = config.draw(&DOMAIN, &mut ChaCha8Rng::seed_from_u64(1));
        points.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let expected: Vec<Point> = [0.0, 1.0, 2.0]
            .into_iter()
            .flat_map(|x| [0.5, 1.0, 1.5, 2.0].map(|t| [x, t]))
            .collect();
        assert_eq!(points, expected);
        let few = |seed| {
            let config = PointsConfig {
                residual: 4,
                ..config.clone()
            };
            config.draw(&DOMAIN, &mut ChaCha8Rng::seed_from_u64(seed))
        };
        assert_eq!(few(3), few(3));
        assert_ne!(few(3), few(4));
    }

    #[test]
    fn uniform_points_lie_in_the_domain() {
        let config = PointsConfig {
            residual: 1000,
            placement: Placement::Uniform,
            ..PointsConfig::default()
        };
        let points = config.draw(&DOMAIN, &mut ChaCha8Rng::seed_from_u64(1));
        let inside = |[x, t]: &Point| (-1.0..3.0).contains(x) && (0.0..2.0).contains(t);
        assert!(points.iter().all(inside));
        let mean = points.iter().map(|p| p[0]).sum::<f64>() / 1000.0;
        assert!((mean - 1.0).abs() < 0.15, "{mean}");
    }

    #[test]
    fn edges_reach_the_corners() {
        let config = PointsConfig::default();
        let start = config.edge(&DOMAIN, Edge::Start);
        assert_eq!(
            (start.len(), start[0], start[256]),
            (257, [-1.0, 0.0], [3.0, 0.0])
        );
        let right = config.edge(&DOMAIN, Edge::Right);
        assert_eq!(
            (right.len(), right[0], right[100]),
            (101, [3.0, 0.0], [3.0, 2.0])
        );
        assert_eq!(config.measured(&DOMAIN).len(), 255 * 100 + 257 + 2 * 101);
    }
}
