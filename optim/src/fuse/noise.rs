//! How noisy the gradients are that Adam sees.

/// The noise to signal ratio tr(Σ)/‖G‖² of the gradients, with G their mean and Σ their covariance, estimated from
/// running means over about 1/(1 − β1) of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct NoiseRatio {
    /// The running mean of ‖g‖², uncorrected, and the gradients in it.
    pub(super) squares: f64,
    pub(super) gradients: u64,
    /// The ratio: finite or infinite, never NaN.
    pub(super) value: Option<f64>,
}

impl NoiseRatio {
    /// Takes note of Adam's first moment, uncorrected, after a gradient of norm `norm`.
    /// A norm without a finite square would spoil the running mean for good, and is left out.
    pub(super) fn observe(&mut self, norm: f64, moment_norm: f64, beta1: f64) {
        if !(norm * norm).is_finite() {
            return;
        }
        self.squares = beta1 * self.squares + (1.0 - beta1) * norm * norm;
        self.gradients += 1;
        let decayed = beta1.powf(self.gradients as f64);
        let c = (1.0 - beta1) * (1.0 + decayed) / ((1.0 + beta1) * (1.0 - decayed));
        let square = self.squares / (1.0 - decayed);
        let moment = (moment_norm / (1.0 - decayed)).powi(2);
        // At the first gradient c = 1: one gradient does not tell signal from noise.
        if self.gradients > 1 {
            let noise = (square - moment).max(0.0);
            let signal = moment - c * square;
            self.value = Some(if signal > 0.0 {
                noise / signal
            } else {
                f64::INFINITY
            });
        }
    }
}
