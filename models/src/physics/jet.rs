//! A function's value at a point together with its derivatives by x and t.

use std::ops::Add;

/// A point of the domain: x, then t. Equations of two space variables call the second one t too.
pub type Point = [f64; 2];

/// How often a function is differentiated by each input, from 0 to 2. Lower derivatives are always
/// carried along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    /// By x.
    pub x: usize,
    /// By t.
    pub t: usize,
}

impl Orders {
    /// No derivatives: the value alone.
    pub const VALUE: Self = Self { x: 0, t: 0 };

    /// How many numbers there are: value, u_x, u_xx, u_t, u_tt, those that are asked for.
    pub(crate) fn channels(self) -> usize {
        1 + self.x + self.t
    }

    /// For each input, its first derivative's channel and the order.
    pub(crate) fn by_input(self) -> [(usize, usize); 2] {
        [(1, self.x), (1 + self.x, self.t)]
    }
}

/// The value of u at a point and its derivatives. Those that were not asked for are 0.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Jet {
    /// u.
    pub u: f64,
    /// ∂u/∂x.
    pub x: f64,
    /// ∂²u/∂x².
    pub xx: f64,
    /// ∂u/∂t.
    pub t: f64,
    /// ∂²u/∂t².
    pub tt: f64,
}

impl Jet {
    /// The jet of f(x) g(t), each given with its first and second derivative.
    pub fn separable(f: [f64; 3], g: [f64; 3]) -> Self {
        Self {
            u: f[0] * g[0],
            x: f[1] * g[0],
            xx: f[2] * g[0],
            t: f[0] * g[1],
            tt: f[0] * g[2],
        }
    }

    /// The entry of one derivative.
    pub(crate) fn get(&self, derivative: Derivative) -> f64 {
        match derivative {
            Derivative::Value => self.u,
            Derivative::X => self.x,
            Derivative::T => self.t,
        }
    }

    /// The jet that is 1 at one derivative.
    pub(crate) fn unit(derivative: Derivative) -> Self {
        let mut jet = Self::default();
        match derivative {
            Derivative::Value => jet.u = 1.0,
            Derivative::X => jet.x = 1.0,
            Derivative::T => jet.t = 1.0,
        }
        jet
    }

    /// From the channels of [`Orders`].
    pub(crate) fn read(orders: Orders, channel: impl Fn(usize) -> f64) -> Self {
        let [x, t] = orders.by_input().map(|(first, order)| {
            let entry = |k| {
                if order >= k {
                    channel(first + k - 1)
                } else {
                    0.0
                }
            };
            [entry(1), entry(2)]
        });
        Self {
            u: channel(0),
            x: x[0],
            xx: x[1],
            t: t[0],
            tt: t[1],
        }
    }

    /// Into the channels of [`Orders`].
    pub(crate) fn write(&self, orders: Orders, mut channel: impl FnMut(usize, f64)) {
        channel(0, self.u);
        let entries = [[self.x, self.xx], [self.t, self.tt]];
        for ((first, order), entries) in orders.by_input().into_iter().zip(entries) {
            for k in 0..order {
                channel(first + k, entries[k]);
            }
        }
    }

    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self {
            u: self.u * factor,
            x: self.x * factor,
            xx: self.xx * factor,
            t: self.t * factor,
            tt: self.tt * factor,
        }
    }
}

impl Add for Jet {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            u: self.u + other.u,
            x: self.x + other.x,
            xx: self.xx + other.xx,
            t: self.t + other.t,
            tt: self.tt + other.tt,
        }
    }
}

/// Which entry of a jet a condition prescribes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Derivative {
    /// u itself.
    Value,
    /// ∂u/∂x.
    X,
    /// ∂u/∂t.
    T,
}

impl Derivative {
    pub(crate) fn orders(self) -> Orders {
        match self {
            Self::Value => Orders::VALUE,
            Self::X => Orders { x: 1, t: 0 },
            Self::T => Orders { x: 0, t: 1 },
        }
    }
}

/// A hard constraint: the network N enters as u = offset + factor N, where offset meets the conditions
/// and factor is zero on them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ansatz {
    /// The function that meets the conditions.
    pub offset: Jet,
    /// The function that vanishes where conditions hold.
    pub factor: Jet,
}

impl Ansatz {
    /// u from N, by the product rule.
    pub(crate) fn apply(&self, n: &Jet) -> Jet {
        let f = &self.factor;
        let product = Jet {
            u: f.u * n.u,
            x: f.x * n.u + f.u * n.x,
            xx: f.xx * n.u + 2.0 * f.x * n.x + f.u * n.xx,
            t: f.t * n.u + f.u * n.t,
            tt: f.tt * n.u + 2.0 * f.t * n.t + f.u * n.tt,
        };
        self.offset + product
    }

    /// The derivatives by the entries of N, from those by the entries of u: the transposed map.
    pub(crate) fn pull_back(&self, u: &Jet) -> Jet {
        let f = &self.factor;
        Jet {
            u: f.u * u.u + f.x * u.x + f.xx * u.xx + f.t * u.t + f.tt * u.tt,
            x: f.u * u.x + 2.0 * f.x * u.xx,
            xx: f.u * u.xx,
            t: f.u * u.t + 2.0 * f.t * u.tt,
            tt: f.u * u.tt,
        }
    }
}
