//! Parameter groups: other learning rates and weight decays for parameters chosen by name.

use serde::{Deserialize, Serialize};

use crate::check;
use crate::error::Result;
use crate::params::Parameters;

/// Settings for the parameters whose names match; all others follow the optimizer's own settings.
///
/// ```
/// use candle_core::{Device, Var};
/// use optim::{AdamConfig, ParameterGroup, Parameters};
///
/// # fn main() -> optim::Result<()> {
/// let weight = Var::new(&[1f32, 2.0], &Device::Cpu)?;
/// let bias = Var::new(&[0f32], &Device::Cpu)?;
/// let parameters = Parameters::new([("layer.weight", weight), ("layer.bias", bias)])?;
/// let no_decay_of_biases = ParameterGroup {
///     parameters: vec!["*.bias".into()],
///     weight_decay: Some(0.0),
///     ..ParameterGroup::default()
/// };
/// let adam = AdamConfig { groups: vec![no_decay_of_biases], ..AdamConfig::adamw() };
/// adam.build(&parameters)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParameterGroup {
    /// Name patterns; `*` stands for any run of characters. A parameter belongs to the first group
    /// with a matching pattern.
    pub parameters: Vec<String>,
    /// The group's learning rate as a multiple of the optimizer's; 0 freezes the group.
    pub learning_rate_factor: f64,
    /// The group's weight decay; the optimizer's if absent.
    pub weight_decay: Option<f64>,
}

impl Default for ParameterGroup {
    fn default() -> Self {
        Self {
            parameters: Vec::new(),
            learning_rate_factor: 1.0,
            weight_decay: None,
        }
    }
}

/// The settings of one group, resolved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupSettings {
    pub(crate) learning_rate_factor: f64,
    pub(crate) weight_decay: f64,
}

/// Which group each parameter belongs to. Group 0 is the optimizer's own settings.
#[derive(Debug)]
pub(crate) struct Groups {
    of_parameter: Vec<usize>,
    settings: Vec<GroupSettings>,
}

impl Groups {
    /// Assigns `parameters` to `groups`.
    ///
    /// # Errors
    /// When a setting is out of range or a pattern matches no parameter.
    pub(crate) fn new(
        groups: &[ParameterGroup],
        weight_decay: f64,
        parameters: &Parameters,
    ) -> Result<Self> {
        check::non_negative("weight_decay", weight_decay)?;
        let mut settings = vec![GroupSettings {
            learning_rate_factor: 1.0,
            weight_decay,
        }];
        for group in groups {
            let weight_decay = group.weight_decay.unwrap_or(weight_decay);
            check::non_negative("groups.learning_rate_factor", group.learning_rate_factor)?;
            check::non_negative("groups.weight_decay", weight_decay)?;
            for pattern in &group.parameters {
                let used = parameters.names().iter().any(|name| matches(pattern, name));
                let expected = "a pattern that matches the name of at least one parameter";
                check::that(used, "groups.parameters", pattern, expected)?;
            }
            settings.push(GroupSettings {
                learning_rate_factor: group.learning_rate_factor,
                weight_decay,
            });
        }
        let group_of = |name: &String| {
            let mut patterns = groups.iter().map(|group| &group.parameters);
            let found = patterns.position(|patterns| patterns.iter().any(|p| matches(p, name)));
            found.map_or(0, |index| index + 1)
        };
        Ok(Self {
            of_parameter: parameters.names().iter().map(group_of).collect(),
            settings,
        })
    }

    /// Each parameter's group.
    pub(crate) fn of_parameter(&self) -> &[usize] {
        &self.of_parameter
    }

    /// The groups' settings.
    pub(crate) fn settings(&self) -> &[GroupSettings] {
        &self.settings
    }
}

/// Whether `name` matches `pattern`, in which `*` stands for any run of characters.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((prefix, mut rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(prefix) else {
        return false;
    };
    while let Some((middle, tail)) = rest.split_once('*') {
        let Some(start) = name.find(middle) else {
            return false;
        };
        name = &name[start + middle.len()..];
        rest = tail;
    }
    name.ends_with(rest)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("fc.bias", "fc.bias", true),
            ("fc.bias", "fc.bias.x", false),
            ("*", "", true),
            ("*.bias", "layers.0.bias", true),
            ("*.bias", "bias", false),
            ("layers.*.weight", "layers.10.conv.weight", true),
            ("layers.*.weight", "layers.weight", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} on {name}");
        }
    }
}
