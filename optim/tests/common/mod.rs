pub(crate) mod dual;

use std::sync::LazyLock;

use candle_core::{DType, Device, Tensor, Var};
use optim::{
    Gradient, LbfgsConfig, Meter, Objective, Optimizer, Oracle, Parameters, Result, StopReason,
};

/// f and its gradient at x.
pub(crate) trait Function: Fn(&[f64]) -> (f64, Vec<f64>) {}
impl<F: Fn(&[f64]) -> (f64, Vec<f64>)> Function for F {}

/// The device of the optimizers under test: a GPU where the build is one for CUDA.
pub(crate) fn device() -> Device {
    // Opened once: tensors of two handles to one GPU do not mix.
    static DEVICE: LazyLock<Device> = LazyLock::new(|| {
        if cfg!(feature = "cuda") {
            Device::new_cuda(0).unwrap()
        } else {
            Device::Cpu
        }
    });
    DEVICE.clone()
}

fn on_device(values: &[f64], dtype: DType) -> candle_core::Result<Tensor> {
    let values = Tensor::new(values, &Device::Cpu)?.to_dtype(dtype)?;
    values.to_device(&device())
}

/// An objective given by a formula in f64, computed on the host; its parameters are on [`device`].
pub(crate) struct Analytic<F> {
    pub(crate) x: Var,
    pub(crate) parameters: Parameters,
    f: F,
}

impl<F: Function> Analytic<F> {
    pub(crate) fn new(f: F, start: &[f64]) -> Self {
        Self::with_dtype(f, start, DType::F64)
    }

    pub(crate) fn with_dtype(f: F, start: &[f64], dtype: DType) -> Self {
        let x = Var::from_tensor(&on_device(start, dtype).unwrap()).unwrap();
        let parameters = Parameters::new([("x", x.clone())]).unwrap();
        Self { x, parameters, f }
    }

    pub(crate) fn values(&self) -> Vec<f64> {
        let values = self.x.to_device(&Device::Cpu).unwrap();
        values.to_dtype(DType::F64).unwrap().to_vec1().unwrap()
    }
}

impl<F: Function> Objective for Analytic<F> {
    fn loss(&mut self) -> Result<f64> {
        let x = self.values();
        Ok((self.f)(&x).0)
    }

    fn loss_and_gradient(&mut self) -> Result<(f64, Gradient)> {
        let x = self.values();
        let (loss, gradient) = (self.f)(&x);
        let gradient = on_device(&gradient, self.x.dtype())?;
        Ok((loss, Gradient::new(&self.parameters, vec![gradient])?))
    }
}

/// What [`minimize`] reached.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) loss: f64,
    pub(crate) iterations: u64,
    pub(crate) evaluations: u64,
}

/// Steps until the loss is at most `target`, the step's gradient tolerance is met, no better point
/// is found even along steepest descent, or the budget is spent.
pub(crate) fn minimize<F: Function>(
    problem: &mut Analytic<F>,
    config: LbfgsConfig,
    target: f64,
    budget: u64,
) -> Run {
    let mut lbfgs = config.build(&problem.parameters).unwrap();
    let mut meter = Meter::with_budget(budget);
    let (mut iterations, mut failed) = (0, false);
    loop {
        let step = lbfgs.step(&mut Oracle::new(problem, &mut meter)).unwrap();
        iterations += step.iterations;
        let loss = step.final_loss.unwrap_or(step.loss);
        // A failed search has cleared the memory.
        let failed_again = failed && step.iterations == 1;
        failed = step.stop == StopReason::LineSearchFailed;
        let done = loss <= target
            || step.stop == StopReason::GradientTolerance
            || (failed && failed_again)
            || meter.remaining() == 0;
        if done {
            return Run {
                loss,
                iterations,
                evaluations: meter.counts().evaluations(),
            };
        }
    }
}

/// Σ 100 (x[i+1] - x[i]²)² + (1 - x[i])², minimum 0 at (1, …, 1).
pub(crate) fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
    let mut gradient = vec![0.0; x.len()];
    let mut f = 0.0;
    for i in 0..x.len() - 1 {
        let (a, b) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
        f += 100.0 * a * a + b * b;
        gradient[i] -= 400.0 * x[i] * a + 2.0 * b;
        gradient[i + 1] += 200.0 * a;
    }
    (f, gradient)
}

/// The standard start of the chained Rosenbrock function: (-1.2, 1, -1.2, 1, …).
pub(crate) fn rosenbrock_start(d: usize) -> Vec<f64> {
    (0..d)
        .map(|i| if i % 2 == 0 { -1.2 } else { 1.0 })
        .collect()
}

/// ½ Σ λᵢ xᵢ² with λ from 1 to `kappa`, evenly spaced in logarithm, from (1, …, 1).
pub(crate) fn quadratic(d: usize, kappa: f64) -> (impl Function, Vec<f64>) {
    let eigenvalues: Vec<f64> = (0..d)
        .map(|i| kappa.powf(i as f64 / (d - 1) as f64))
        .collect();
    let f = move |x: &[f64]| {
        let gradient: Vec<f64> = x.iter().zip(&eigenvalues).map(|(x, l)| l * x).collect();
        let f = x.iter().zip(&gradient).map(|(x, g)| 0.5 * x * g).sum();
        (f, gradient)
    };
    (f, vec![1.0; d])
}
