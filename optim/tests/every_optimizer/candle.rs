//! What Candle users rely on: which variables of a `VarMap` are trained, `backward_step`, and what
//! trials leave in running statistics.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{AdamW, BatchNorm, ModuleT, Optimizer as _, ParamsAdamW, VarBuilder, VarMap};
use optim::{
    AdamConfig, BackwardStep, Build, LbfgsConfig, Loss, Meter, Objective, Optimizer, Oracle,
    Parameters, Sgd, SgdConfig, WeightDecay, running_statistics,
};

fn norm() -> (VarMap, BatchNorm) {
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F64, &Device::Cpu);
    let norm = candle_nn::batch_norm(2, 1e-5, vb.pp("norm")).unwrap();
    (map, norm)
}

fn batch() -> Tensor {
    let values: Vec<f64> = (0..16).map(|i| (i as f64).sin() + 0.2 * i as f64).collect();
    Tensor::from_vec(values, (8, 2), &Device::Cpu).unwrap()
}

#[test]
fn running_statistics_are_no_parameters() {
    let (map, _) = norm();
    let parameters = Parameters::from_var_map(&map).unwrap();
    assert_eq!(parameters.names(), ["norm.bias", "norm.weight"]);
    // Mean 0, then variance 1.
    let values: Vec<Vec<f64>> = running_statistics(&map)
        .iter()
        .map(|var| var.to_vec1().unwrap())
        .collect();
    assert_eq!(values, [[0.0, 0.0], [1.0, 1.0]]);
    let only_bias = Parameters::from_var_map_where(&map, |name| name.ends_with("bias")).unwrap();
    assert_eq!(only_bias.names(), ["norm.bias"]);
    assert!(Parameters::from_var_map_where(&map, |_| false).is_err());
}

#[test]
fn a_search_changes_running_statistics_once() {
    let (map, norm) = norm();
    let parameters = Parameters::from_var_map(&map).unwrap();
    let x = batch();
    // Batch norm's statistics are of its input, which no parameter changes: whatever the search
    // tries, each accepted iteration is one update, as is the evaluation at the step's start.
    let loss = || (norm.forward_t(&x, true)? - 3.0)?.sqr()?.mean_all();
    let mut objective = Loss::new(&parameters, loss).with_buffers(running_statistics(&map));
    let mut lbfgs = LbfgsConfig {
        max_iter: 3,
        // Far too long, so that the search tries several points.
        lr: 50.0,
        ..LbfgsConfig::default()
    }
    .build(&parameters)
    .unwrap();
    let mut meter = Meter::new();
    let step = lbfgs
        .step(&mut Oracle::new(&mut objective, &mut meter))
        .unwrap();
    assert!(meter.counts().evaluations() > 1 + step.iterations);
    let kept = 0.9f64.powi(1 + step.iterations as i32);
    let mean = x.mean(0).unwrap().to_vec1::<f64>().unwrap();
    let running = running_statistics(&map)[0].to_vec1::<f64>().unwrap();
    for (running, mean) in running.into_iter().zip(mean) {
        assert!((running - (1.0 - kept) * mean).abs() < 1e-12);
    }
}

#[test]
fn rejected_trials_and_failed_ones_leave_nothing_behind() {
    let buffer = Var::new(1f64, &Device::Cpu).unwrap();
    let x = Var::new(2f64, &Device::Cpu).unwrap();
    let parameters = Parameters::new([("x", x.clone())]).unwrap();
    let fails = std::cell::Cell::new(false);
    let loss = || {
        buffer.set(&(buffer.as_tensor() * 2.0)?)?;
        if fails.get() {
            candle_core::bail!("no loss");
        }
        x.sqr()
    };
    let mut objective = Loss::new(&parameters, loss).with_buffers(vec![buffer.clone()]);
    let value = || buffer.to_scalar::<f64>().unwrap();
    objective.trial().unwrap();
    objective.trial().unwrap();
    objective.end_trials(None).unwrap();
    assert_eq!(value(), 1.0);
    fails.set(true);
    assert!(objective.trial().is_err());
    assert_eq!(value(), 1.0);
    objective.end_trials(None).unwrap();
    fails.set(false);
    objective.trial().unwrap();
    objective.end_trials(Some(0)).unwrap();
    assert_eq!(value(), 2.0);
}

/// A weight and a bias, and a loss of both.
fn problem() -> (Vec<Var>, impl Fn() -> Tensor) {
    let weight = Var::from_tensor(&batch()).unwrap();
    let bias = Var::new(&[0.3, -0.2], &Device::Cpu).unwrap();
    let vars = vec![weight.clone(), bias.clone()];
    let loss = move || {
        let sum = weight.broadcast_add(&bias).unwrap();
        sum.sqr()
            .unwrap()
            .exp()
            .unwrap()
            .log()
            .unwrap()
            .mean_all()
            .unwrap()
    };
    (vars, loss)
}

/// The largest difference after ten steps of `backward_step`.
fn difference(
    mut ours: impl candle_nn::Optimizer,
    our_problem: (Vec<Var>, impl Fn() -> Tensor),
    mut theirs: impl candle_nn::Optimizer,
    their_problem: (Vec<Var>, impl Fn() -> Tensor),
) -> f64 {
    for _ in 0..10 {
        ours.backward_step(&our_problem.1()).unwrap();
        theirs.backward_step(&their_problem.1()).unwrap();
    }
    let pairs = our_problem.0.iter().zip(&their_problem.0);
    let largest = pairs.map(|(ours, theirs)| {
        let difference = (ours.as_tensor() - theirs.as_tensor()).unwrap();
        let largest = difference.abs().unwrap().flatten_all().unwrap().max(0);
        largest.unwrap().to_scalar::<f64>().unwrap()
    });
    largest.fold(0.0, f64::max)
}

#[test]
fn backward_step_does_what_candle_s_optimizers_do() {
    let (ours, theirs) = (problem(), problem());
    let build: Build<Sgd> = Box::new(|parameters| {
        let config = SgdConfig {
            learning_rate: 0.1,
            ..SgdConfig::default()
        };
        config.build(parameters)
    });
    let sgd = BackwardStep::new(ours.0.clone(), build).unwrap();
    let candle = candle_nn::SGD::new(theirs.0.clone(), 0.1).unwrap();
    assert!(difference(sgd, ours, candle, theirs) < 1e-14);

    let (ours, theirs) = (problem(), problem());
    let named = ours.0.iter().cloned().zip(["weight", "bias"]);
    let parameters = Parameters::new(named.map(|(var, name)| (name, var))).unwrap();
    let adam = AdamConfig {
        learning_rate: 0.02,
        weight_decay: 0.01,
        weight_decay_kind: WeightDecay::Decoupled,
        ..AdamConfig::default()
    };
    let adam = BackwardStep::from(adam.build(&parameters).unwrap());
    let settings = ParamsAdamW {
        lr: 0.02,
        weight_decay: 0.01,
        ..ParamsAdamW::default()
    };
    let candle = AdamW::new(theirs.0.clone(), settings).unwrap();
    assert!(difference(adam, ours, candle, theirs) < 1e-13);
}

#[test]
fn a_method_of_several_evaluations_is_refused_by_name() {
    let (vars, loss) = problem();
    let build = Box::new(|parameters: &Parameters| LbfgsConfig::default().build(parameters));
    let mut lbfgs = BackwardStep::new(vars, build).unwrap();
    let error = lbfgs.backward_step(&loss()).unwrap_err().to_string();
    assert!(
        error.contains("evaluates more than once in a step"),
        "{error}"
    );
}

#[test]
fn an_unreached_variable_is_named_and_a_loss_that_is_not_finite_changes_nothing() {
    let (vars, loss) = problem();
    let unused = Var::new(1f64, &Device::Cpu).unwrap();
    let parameters = |extra: Option<Var>| {
        let mut named = vec![("weight", vars[0].clone()), ("bias", vars[1].clone())];
        named.extend(extra.map(|var| ("unused", var)));
        Parameters::new(named).unwrap()
    };
    let build = |parameters: &Parameters| {
        BackwardStep::from(SgdConfig::default().build(parameters).unwrap())
    };
    let error = build(&parameters(Some(unused)))
        .backward_step(&loss())
        .unwrap_err();
    assert!(
        error.to_string().contains("`unused` has no gradient"),
        "{error}"
    );
    let before = vars[0].to_vec2::<f64>().unwrap();
    let infinite = (loss() * f64::INFINITY).unwrap();
    build(&parameters(None)).backward_step(&infinite).unwrap();
    assert_eq!(vars[0].to_vec2::<f64>().unwrap(), before);
}
