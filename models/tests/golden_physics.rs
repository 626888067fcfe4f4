//! Physics-informed networks against PyTorch's nested automatic differentiation, in double precision;
//! `golden/physics.py` has the other half.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use models::Scope;
use models::physics::{EquationConfig, NetworkConfig, PinnConfig, PointsConfig};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    equation: String,
    network: NetworkConfig,
    hard_constraints: bool,
    parts: BTreeMap<String, f64>,
    gradients: BTreeMap<String, Vec<f64>>,
}

/// Pseudo-random numbers on [-1, 1) by integer arithmetic.
fn uniform(stream: usize, count: usize) -> Vec<f64> {
    let number = |i: usize| {
        let mut x = (i + 1000 * stream) as u64 * 2_654_435_761 % (1 << 32);
        x ^= x >> 15;
        x = x * 0x2C1B_3C6D % (1 << 32);
        x ^= x >> 12;
        x as f64 / f64::from(1u32 << 31) - 1.0
    };
    (1..=count).map(number).collect()
}

/// The coefficients that the generator uses.
fn equation(kind: &str) -> EquationConfig {
    let coefficients = match kind {
        "convection" => r#", "speed": 40.0"#,
        "reaction" => r#", "rate": 5.0"#,
        "wave" => r#", "speed": 2.0"#,
        "reaction-diffusion" => r#", "diffusion": 3.0, "rate": 5.0"#,
        "heat" => r#", "diffusivity": 0.4"#,
        _ => "",
    };
    serde_json::from_str(&format!(r#"{{ "kind": "{kind}"{coefficients} }}"#)).unwrap()
}

#[test]
fn losses_and_gradients_agree_with_nested_differentiation() {
    let golden: Golden = serde_json::from_str(include_str!("golden/physics.json")).unwrap();
    assert_eq!(golden.cases.len(), 25);
    for case in &golden.cases {
        let what = format!(
            "{} {:?}, hard {}",
            case.equation, case.network, case.hard_constraints
        );
        let config = PinnConfig {
            network: case.network.clone(),
            points: PointsConfig {
                residual: 20,
                grid_x: 7,
                grid_t: 5,
                ..PointsConfig::default()
            },
            hard_constraints: case.hard_constraints,
            ..PinnConfig::default()
        };
        let scope = Scope::new(0, DType::F64, &Device::Cpu);
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        let pinn = config
            .build(equation(&case.equation).build(), &scope, rng)
            .unwrap();
        let parameters = &pinn.tensors().parameters;
        let names: Vec<&String> = parameters.iter().map(|(name, _)| name).collect();
        assert_eq!(names, case.gradients.keys().collect::<Vec<_>>(), "{what}");
        for (stream, (_, var)) in (1..).zip(parameters) {
            let scale = match var.dims() {
                [_, inputs] => (3.0 / *inputs as f64).sqrt(),
                _ => 0.2,
            };
            let values = uniform(stream, var.elem_count());
            let values = values.into_iter().map(|value| scale * value).collect();
            var.set(&Tensor::from_vec(values, var.dims(), &Device::Cpu).unwrap())
                .unwrap();
        }
        let (loss, gradient) = pinn.loss_and_gradient().unwrap();
        assert_eq!(loss.parts.len(), case.parts.len(), "{what}");
        for part in &loss.parts {
            let expected = case.parts[part.name];
            assert!(
                (part.mean_square - expected).abs() <= 1e-10 * expected,
                "{what} {}: {}, PyTorch has {expected}",
                part.name,
                part.mean_square
            );
        }
        let elements = case.gradients.values().flatten();
        let largest = elements.fold(0.0, |m: f64, g| m.max(g.abs()));
        for ((name, _), gradient) in parameters.iter().zip(gradient) {
            let found: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
            for (i, (found, expected)) in found.iter().zip(&case.gradients[name]).enumerate() {
                assert!(
                    (found - expected).abs() <= 1e-10 * largest,
                    "{what} {name}[{i}]: {found}, PyTorch has {expected}"
                );
            }
        }
    }
}
