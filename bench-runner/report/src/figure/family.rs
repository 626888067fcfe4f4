//! Families of curves: more than can be told apart in one plot become small multiples, a panel for each family with
//! all other curves in grey.

use super::chart::{Curves, Panel};

/// The curves that one plot can show.
pub const MOST: usize = 8;

/// The family of those that have none.
const OTHERS: &str = "others";

/// The family of each label: what stands before the first slash, without the numbers that it ends in. Those that would be
/// alone in theirs make one together.
pub fn families(labels: &[&str]) -> Vec<String> {
    let own: Vec<String> = labels.iter().map(|label| family(label)).collect();
    let size = |name: &String| own.iter().filter(|other| *other == name).count();
    own.iter()
        .map(|name| match size(name) {
            1 => OTHERS.to_owned(),
            _ => name.clone(),
        })
        .collect()
}

fn family(label: &str) -> String {
    let name = label.split('/').next().unwrap_or_default();
    let is_number =
        |(at, _): &(usize, &str)| name[at + 1..].starts_with(|sign: char| sign.is_ascii_digit());
    let end = name.match_indices(['-', ' ']).find(is_number);
    name[..end.map_or(name.len(), |(at, _)| at)].to_owned()
}

/// The panel, or one for each family of its curves.
pub(super) fn multiples(panel: Curves) -> Vec<Panel> {
    let labels: Vec<&str> = panel.series.iter().map(|own| own.label.as_str()).collect();
    let of = families(&labels);
    let mut names = of.clone();
    names.sort();
    names.dedup();
    if labels.len() <= MOST || names.len() == 1 {
        return vec![Panel::Curves(panel)];
    }
    // In the order of their first members, those without a family last.
    names.sort_by_key(|name| (name == OTHERS, of.iter().position(|own| own == name)));
    let of_family = |name: String| {
        let curves = panel.series.iter().cloned().zip(&of);
        let (own, others): (Vec<_>, Vec<_>) = curves.partition(|(_, of)| **of == name);
        Panel::Curves(Curves {
            series: own.into_iter().map(|(series, _)| series).collect(),
            context: others.into_iter().map(|(series, _)| series).collect(),
            title: name,
            ..panel.clone()
        })
    };
    names.into_iter().map(of_family).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_a_method_at_several_settings() {
        let labels = [
            "adam/learning_rate=0.1",
            "adam/cosine",
            "epoch-1",
            "epoch-5-and-quiet",
            "epoch/reversible",
            "fuse-pv/at 2 %",
            "fuse-pv/at 10 %",
            "lbfgs",
        ];
        let families = families(&labels);
        assert_eq!(
            families,
            [
                "adam", "adam", "epoch", "epoch", "epoch", "fuse-pv", "fuse-pv", "others"
            ]
        );
    }
}
