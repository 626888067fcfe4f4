//! What the benchmarks share: times of layers and of whole training steps.
//!
//! A benchmark prints lines of four columns with tabs between them: the row, what was measured (a time in
//! milliseconds, or `memory` in MiB), in which way (`ours`, or a bound), and the number. The comparisons in
//! PyTorch print the same rows in ways of their own; `scripts/performance.py` runs both in turns.

#![allow(dead_code, unreachable_pub)]

use std::time::Instant;

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, Device, InplaceOp2, Layout, Result, Tensor, Var};
use models::{Model, Pass};

/// Runs before the first that counts, and those that count.
const WARM_UP: usize = 3;
const RUNS: usize = 15;

/// The rows of a benchmark that contain the first argument, or all without one.
pub struct Rows {
    filter: Option<String>,
}

impl Rows {
    /// Reads the filter. The allocator is told to keep what is freed, as `bench-runner` tells it.
    pub fn start() -> Self {
        // The option `purge_delay`. SAFETY: it sets a number in a table of options.
        unsafe { libmimalloc_sys::mi_option_set(15, -1) };
        let filter = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
        Self { filter }
    }

    /// Times a layer's forward pass, and its backward pass from a gradient of ones.
    pub fn layer(&self, name: &str, forward: impl Fn() -> Result<Tensor>) -> Result<()> {
        if self.skips(name) {
            return Ok(());
        }
        let (mut forwards, mut backwards) = (Vec::new(), Vec::new());
        for _ in 0..WARM_UP + RUNS {
            let start = Instant::now();
            let output = forward()?;
            forwards.push(milliseconds(start));
            let start = Instant::now();
            let gradients = output.backward()?;
            backwards.push(milliseconds(start));
            drop(gradients);
        }
        print(name, "forward", median(forwards));
        print(name, "backward", median(backwards));
        Ok(())
    }

    /// Times a training step with Adam, its forward and its backward pass, and measures by how much
    /// the process grows. What earlier rows have freed counts as growth no more, so memory is to be
    /// read from a run whose filter leaves one row.
    pub fn step(
        &self,
        name: &str,
        model: &dyn Model,
        input: &Tensor,
        targets: &Tensor,
    ) -> Result<()> {
        if self.skips(name) {
            return Ok(());
        }
        let memory = resident("VmRSS");
        let mut adam = Adam::new(model)?;
        let (mut steps, mut forwards, mut backwards) = (Vec::new(), Vec::new(), Vec::new());
        for seed in 0..(WARM_UP + RUNS) as u64 {
            let start = Instant::now();
            let loss = model.loss(input, targets, Pass::Train { seed })?;
            forwards.push(milliseconds(start));
            let back = Instant::now();
            let gradients = loss.backward()?;
            backwards.push(milliseconds(back));
            drop(loss);
            adam.step(&gradients)?;
            steps.push(milliseconds(start));
        }
        print(name, "forward", median(forwards));
        print(name, "backward", median(backwards));
        print(name, "step", median(steps));
        print(name, "memory", resident("VmHWM") - memory);
        Ok(())
    }

    /// Whether the filter leaves a row out.
    pub fn skips(&self, name: &str) -> bool {
        let filter = self.filter.as_deref();
        filter.is_some_and(|filter| !name.contains(filter))
    }
}

/// Prints a number of a row.
pub fn print(row: &str, measure: &str, value: f64) {
    print_way(row, measure, "ours", value);
}

/// Prints a number of a row that was measured in some other way than ours.
pub fn print_way(row: &str, measure: &str, way: &str, value: f64) {
    println!("{row}\t{measure}\t{way}\t{value:.4}");
}

/// Adam as the textbook has it, so that a step costs what a step costs.
struct Adam {
    steps: i32,
    vars: Vec<Var>,
    moments: Vec<(Var, Var)>,
}

/// One step of a variable or moment towards values computed from a gradient.
struct Update<F>(F);

impl<F: Fn(&mut f32, f32)> InplaceOp2 for Update<F> {
    fn name(&self) -> &'static str {
        "update"
    }

    fn cpu_fwd(
        &self,
        values: &mut CpuStorage,
        _: &Layout,
        other: &CpuStorage,
        layout: &Layout,
    ) -> Result<()> {
        let CpuStorage::F32(values) = values else {
            candle_core::bail!("the benchmark trains in f32");
        };
        let start = layout.start_offset();
        for (value, other) in values.iter_mut().zip(&other.as_slice::<f32>()?[start..]) {
            (self.0)(value, *other);
        }
        Ok(())
    }
}

impl Adam {
    fn new(model: &dyn Model) -> Result<Self> {
        let parameters = &model.tensors().parameters;
        let vars: Vec<Var> = parameters.iter().map(|(_, var)| var.clone()).collect();
        let zeros = |var: &Var| Var::zeros(var.shape(), var.dtype(), var.device());
        let moments = vars
            .iter()
            .map(|var| Ok((zeros(var)?, zeros(var)?)))
            .collect::<Result<_>>()?;
        Ok(Self {
            steps: 0,
            vars,
            moments,
        })
    }

    fn step(&mut self, gradients: &GradStore) -> Result<()> {
        self.steps += 1;
        let rate = 1e-3 / (1.0 - 0.9f32.powi(self.steps));
        let correction = (1.0 - 0.999f32.powi(self.steps)).sqrt();
        for (var, (m, v)) in self.vars.iter().zip(&self.moments) {
            let Some(gradient) = gradients.get(var) else {
                candle_core::bail!("a parameter has no gradient");
            };
            let gradient = gradient.contiguous()?;
            m.inplace_op2(&gradient, &Update(|m: &mut f32, g| *m += 0.1 * (g - *m)))?;
            v.inplace_op2(
                &gradient,
                &Update(|v: &mut f32, g| *v += 0.001 * (g * g - *v)),
            )?;
            // m and v are read together; the quotient is formed in a copy of v.
            let quotient = v.as_tensor().copy()?;
            quotient.inplace_op2(
                m,
                &Update(move |v: &mut f32, m| *v = rate * m / (v.sqrt() / correction + 1e-8)),
            )?;
            var.inplace_op2(&quotient, &Update(|x: &mut f32, step| *x -= step))?;
        }
        Ok(())
    }
}

/// Values that all differ and repeat nowhere.
pub fn values(shape: &[usize]) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * 0.37).sin()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// Integers below `below`, in no simple order.
pub fn integers(shape: &[usize], below: u32) -> Result<Tensor> {
    let count = shape.iter().product::<usize>() as u32;
    let values: Vec<u32> = (0..count)
        .map(|i| i.wrapping_mul(2_654_435_761) % below)
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// A size of this process in MiB, as Linux reports it: resident now (`VmRSS`) or at most (`VmHWM`).
pub fn resident(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kibibytes.map_or(f64::NAN, |kibibytes| kibibytes / 1024.0)
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// The median of the runs after the warm-up.
fn median(mut runs: Vec<f64>) -> f64 {
    runs.drain(..WARM_UP);
    runs.sort_by(f64::total_cmp);
    runs[runs.len() / 2]
}
