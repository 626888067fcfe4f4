//! Reference solutions of u_t = ν u_xx + f(u): eigenfunctions of the second derivative in x, and the
//! classical Runge–Kutta method in t with diffusion taken exactly (integrating factor). The error falls
//! with the fourth power of the step.

use crate::physics::jet::Point;

/// An orthonormal basis of eigenfunctions on evenly spaced nodes.
pub(super) struct Basis {
    nodes: Vec<f64>,
    /// The eigenfunctions; the eigenvalue of each is −k².
    functions: Vec<Wave>,
    /// The k-th eigenfunction at the i-th node at `k * nodes + i`.
    values: Vec<f64>,
}

/// scale · cos(k (x − left)) or scale · sin(k (x − left)).
struct Wave {
    k: f64,
    left: f64,
    scale: f64,
    sine: bool,
}

impl Wave {
    fn at(&self, x: f64) -> f64 {
        let phase = self.k * (x - self.left);
        let wave = if self.sine {
            libm::sin(phase)
        } else {
            libm::cos(phase)
        };
        self.scale * wave
    }
}

impl Basis {
    /// Cosines and sines of one period, an even number of `modes` in all.
    pub(super) fn periodic(left: f64, length: f64, modes: usize) -> Self {
        let nodes = (0..modes).map(|i| left + length * i as f64 / modes as f64);
        let norm = (modes as f64 / 2.0).sqrt().recip();
        let functions = (0..modes).map(|index| {
            let wave = index.div_ceil(2);
            let k = std::f64::consts::TAU * wave as f64 / length;
            // The constant and the fastest cosine are ±1 at every node.
            let alone = wave == 0 || 2 * wave == modes;
            Wave {
                k,
                left,
                scale: if alone { norm / 2f64.sqrt() } else { norm },
                sine: index > 0 && index % 2 == 0,
            }
        });
        Self::new(nodes.collect(), functions.collect())
    }

    /// The sines that vanish at both ends.
    pub(super) fn fixed_ends(left: f64, length: f64, modes: usize) -> Self {
        let spacing = length / (modes + 1) as f64;
        let nodes = (1..=modes).map(|i| left + spacing * i as f64);
        let functions = (1..=modes).map(|wave| Wave {
            k: std::f64::consts::PI * wave as f64 / length,
            left,
            scale: (2.0 / (modes + 1) as f64).sqrt(),
            sine: true,
        });
        Self::new(nodes.collect(), functions.collect())
    }

    fn new(nodes: Vec<f64>, functions: Vec<Wave>) -> Self {
        let values = functions
            .iter()
            .flat_map(|wave| nodes.iter().map(|x| wave.at(*x)));
        Self {
            values: values.collect(),
            functions,
            nodes,
        }
    }

    /// The coefficients of a function from its values at the nodes.
    fn coefficients(&self, values: &[f64]) -> Vec<f64> {
        let rows = self.values.chunks_exact(self.nodes.len());
        rows.map(|row| row.iter().zip(values).map(|(a, b)| a * b).sum())
            .collect()
    }

    /// The values at the nodes after each eigenfunction has been multiplied by its factor.
    fn scaled(&self, factors: &[f64], values: &[f64]) -> Vec<f64> {
        let mut result = vec![0.0; values.len()];
        let rows = self.values.chunks_exact(self.nodes.len());
        for ((row, factor), c) in rows.zip(factors).zip(self.coefficients(values)) {
            for (sum, value) in result.iter_mut().zip(row) {
                *sum += factor * c * value;
            }
        }
        result
    }
}

/// The solution at `points`, whose times start at 0, from `start` with at least `steps` steps in a unit of
/// time. The steps end at each of the points' times; at time 0 the start itself is returned.
pub(super) fn solve(
    basis: &Basis,
    diffusion: f64,
    growth: impl Fn(f64) -> f64,
    start: impl Fn(f64) -> f64,
    steps: usize,
    points: &[Point],
) -> Vec<f64> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|a, b| points[*a][1].total_cmp(&points[*b][1]));
    let mut u: Vec<f64> = basis.nodes.iter().map(|x| start(*x)).collect();
    let (mut time, mut solution) = (0.0, vec![0.0; points.len()]);
    for same in order.chunk_by(|a, b| points[*a][1] == points[*b][1]) {
        let target = points[same[0]][1];
        if target <= 0.0 {
            for i in same {
                solution[*i] = start(points[*i][0]);
            }
            continue;
        }
        // Rounding in a time must not cost a step.
        let count = ((target - time) * steps as f64 - 1e-9).ceil().max(1.0);
        let step = (target - time) / count;
        let waves = basis.functions.iter();
        let half = waves.map(|wave| libm::exp(-diffusion * wave.k * wave.k * step / 2.0));
        let half: Vec<f64> = half.collect();
        for _ in 0..count as usize {
            u = advance(|u| basis.scaled(&half, u), &u, &growth, step);
        }
        time = target;
        let coefficients = basis.coefficients(&u);
        for i in same {
            let terms = coefficients.iter().zip(&basis.functions);
            solution[*i] = terms.map(|(c, wave)| c * wave.at(points[*i][0])).sum();
        }
    }
    solution
}

/// One step of the classical Runge–Kutta method for e^{−νt∂²} u; `diffused` is diffusion over half a step.
fn advance(
    diffused: impl Fn(&[f64]) -> Vec<f64>,
    u: &[f64],
    growth: &impl Fn(f64) -> f64,
    step: f64,
) -> Vec<f64> {
    let combined = |f: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..u.len()).map(f).collect() };
    let k1 = combined(&|i| growth(u[i]));
    let (u_half, k1_half) = (diffused(u), diffused(&k1));
    let k2 = combined(&|i| growth(u_half[i] + step / 2.0 * k1_half[i]));
    let k3 = combined(&|i| growth(u_half[i] + step / 2.0 * k2[i]));
    let last = diffused(&combined(&|i| u_half[i] + step * k3[i]));
    let k4 = combined(&|i| growth(last[i]));
    let sum = diffused(&combined(&|i| {
        u_half[i] + step / 6.0 * k1_half[i] + step / 3.0 * (k2[i] + k3[i])
    }));
    combined(&|i| sum[i] + step / 6.0 * k4[i])
}
