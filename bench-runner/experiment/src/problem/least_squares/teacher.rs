//! A tanh network fitted to another one.

use bench_stats::random::Stream;
use candle_core::{DType, Device};
use models::dense::MlpConfig;
use models::layer::Activation;
use models::{Model, Pass, Scope};
use serde::{Deserialize, Serialize};

use super::fit::Fit;
use super::samples::{Matrix, Samples, check_widths, listed};
use crate::error::Result;
use crate::problem::start::normals;
use crate::problem::traits::Environment;
use crate::settings::Invalid;

/// A tanh network, the student, fitted to another one, the teacher (Saad and Solla 1995). The student
/// has no fewer units in any layer, so that the loss can vanish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TeacherTask {
    /// Inputs of both.
    pub inputs: usize,
    /// Units of each hidden layer of the teacher.
    pub teacher: Vec<usize>,
    /// Units of each hidden layer of the student.
    pub student: Vec<usize>,
    /// Samples: standard normal inputs.
    pub samples: usize,
}

/// The teacher's weights are so many times those that a network starts with. Its units then leave the
/// range in which tanh is nearly linear.
const SCALE: f64 = 3.0;

impl TeacherTask {
    fn network(&self, hidden: &[usize]) -> MlpConfig {
        MlpConfig {
            inputs: self.inputs,
            hidden: hidden.to_vec(),
            classes: 1,
            activation: Activation::Tanh,
        }
    }

    fn widths(&self, hidden: &[usize]) -> Vec<usize> {
        [&[self.inputs], hidden, &[1]].concat()
    }

    /// The teacher, the same in all runs.
    fn teacher(&self) -> Result<Box<dyn Model>> {
        // Its scope makes its draws others than those of a student with seed 0.
        let scope = Scope::new(0, DType::F64, &Device::Cpu).child("teacher");
        let network = self.network(&self.teacher).build(&scope)?;
        for (_, weight) in &network.tensors().parameters {
            weight.set(&(weight.as_tensor() * SCALE)?)?;
        }
        Ok(Box::new(network))
    }
}

impl Fit for TeacherTask {
    fn check(&self) -> Result<(), Invalid> {
        if self.inputs == 0 {
            return Err(Invalid::value("inputs", 0, "at least 1 is needed"));
        }
        check_widths("teacher", &self.widths(&self.teacher), self.samples)?;
        check_widths("student", &self.widths(&self.student), self.samples)?;
        let fits = self.teacher.len() == self.student.len()
            && self.teacher.iter().zip(&self.student).all(|(t, s)| t <= s);
        if !fits {
            let reason = format!(
                "as many hidden layers as the teacher's {:?} are needed, none narrower",
                self.teacher
            );
            return Err(Invalid::value(
                "student",
                format!("{:?}", self.student),
                reason,
            ));
        }
        Ok(())
    }

    fn title(&self) -> String {
        format!(
            "Teacher {}, student {}, {} samples",
            listed(&self.widths(&self.teacher)),
            listed(&self.widths(&self.student)),
            self.samples
        )
    }

    fn model(&self, scope: &Scope) -> models::Result<Box<dyn Model>> {
        Ok(Box::new(self.network(&self.student).build(scope)?))
    }

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn samples(&self, _: &Environment) -> Result<(Samples, Option<Samples>)> {
        let draws = normals(0, Stream::Data, 0);
        let inputs = Matrix {
            values: draws.take(self.samples * self.inputs).collect(),
            columns: self.inputs,
        };
        let outputs = self
            .teacher()?
            .forward(&inputs.tensor(DType::F64, &Device::Cpu)?, Pass::Eval)?;
        // The student's last layer can have this scale and shift too.
        let targets = Matrix::standardised(outputs.flatten_all()?.to_vec1()?);
        Ok((Samples { inputs, targets }, None))
    }

    fn minimum(&self) -> Option<f64> {
        Some(0.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use bench_data::{Library, Silent};
    use candle_core::Tensor;

    use super::*;

    #[test]
    fn a_student_with_the_teachers_weights_makes_no_error() {
        let task = TeacherTask {
            inputs: 4,
            teacher: vec![5, 3],
            student: vec![5, 3],
            samples: 200,
        };
        let environment = Environment {
            library: Library::from_env(None, Arc::new(Silent)).unwrap().into(),
            device: Device::Cpu,
        };
        let (samples, _) = task.samples(&environment).unwrap();
        let inputs = samples.inputs.tensor(DType::F64, &Device::Cpu).unwrap();
        let targets = samples.targets.tensor(DType::F64, &Device::Cpu).unwrap();
        let student = task
            .model(&Scope::new(5, DType::F64, &Device::Cpu))
            .unwrap();
        let teacher = task.teacher().unwrap();
        let own = teacher.forward(&inputs, Pass::Eval).unwrap();
        let spread = own.broadcast_sub(&own.mean_all().unwrap()).unwrap();
        // The targets' scale: any sample shows it.
        let at = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap()[7];
        let scale = at(&targets) / at(&spread);
        for ((name, ours), (_, theirs)) in student
            .tensors()
            .parameters
            .iter()
            .zip(&teacher.tensors().parameters)
        {
            let value = match name.as_str() {
                "fc3.weight" => (theirs.as_tensor() * scale).unwrap(),
                "fc3.bias" => {
                    let shift = theirs.broadcast_sub(&own.mean_all().unwrap()).unwrap();
                    (shift * scale).unwrap()
                }
                _ => theirs.as_tensor().clone(),
            };
            ours.set(&value).unwrap();
        }
        let fitted = student.forward(&inputs, Pass::Eval).unwrap();
        let error = (fitted - targets)
            .unwrap()
            .sqr()
            .unwrap()
            .mean_all()
            .unwrap();
        let error = error.to_scalar::<f64>().unwrap();
        assert!(error < 1e-28, "{error}");
    }
}
