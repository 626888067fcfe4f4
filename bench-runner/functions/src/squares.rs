//! Sums of squared residuals and their gradients, term by term.

/// f(x) = Σᵢ rᵢ(x)² and its gradient, as residuals are added.
pub(crate) struct Squares<'a> {
    /// The sum so far.
    pub(crate) value: f64,
    gradient: &'a mut [f64],
}

impl<'a> Squares<'a> {
    /// An empty sum; sets the gradient to zero.
    pub(crate) fn new(gradient: &'a mut [f64]) -> Self {
        gradient.fill(0.0);
        Self {
            value: 0.0,
            gradient,
        }
    }

    /// Adds a residual and its derivatives by the first N variables; it depends on no others.
    pub(crate) fn add<const N: usize>(&mut self, residual: f64, slopes: [f64; N]) {
        self.value += residual * residual;
        for (g, slope) in self.gradient.iter_mut().zip(slopes) {
            *g += 2.0 * residual * slope;
        }
    }
}
