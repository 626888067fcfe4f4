//! What the authors' code does that neither its README nor the paper says: S1 to S16, as read in the code
//! or seen when it ran. The table of `docs/arms.md` is made of this.

use crate::table::Table;

/// One behaviour of the authors' code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Discrepancy {
    /// S1 to S16.
    pub id: &'static str,
    /// A few words for figures.
    pub name: &'static str,
    /// What the code does.
    pub behaviour: &'static str,
    /// What follows for its results.
    pub consequence: &'static str,
    /// How it can be turned on or off here.
    pub setting: &'static str,
}

/// All of them, in order.
pub const DISCREPANCIES: [Discrepancy; 16] = [
    Discrepancy {
        id: "S1",
        name: "one rule for all criteria",
        behaviour: "All three criteria run one rule: 3 epochs of Adam, then L-BFGS on each batch if the previous batch's loss was below 2, else Adam again.",
        consequence: "The comparison of criteria cannot come from this code.",
        setting: "criterion, warm_up and policy of fuse-pv",
    },
    Discrepancy {
        id: "S2",
        name: "criterion flag not passed on",
        behaviour: "The flag that should choose the criterion is parsed and never passed on.",
        consequence: "As S1: the same rule, whatever is asked.",
        setting: "as S1",
    },
    Discrepancy {
        id: "S3",
        name: "first test batch only",
        behaviour: "Test accuracy is that of the first batch of 500 test images.",
        consequence: "A resolution of 0.002 and a standard error of about 2.2 points at 60 %.",
        setting: "faults = [\"S3\"] of classification",
    },
    Discrepancy {
        id: "S4",
        name: "evaluation mode kept",
        behaviour: "The first accuracy call sets evaluation mode, which is never undone.",
        consequence: "From the second epoch on, batch norm trains with its running statistics.",
        setting: "faults = [\"S4\"] of classification",
    },
    Discrepancy {
        id: "S5",
        name: "loss over n + 1 batches",
        behaviour: "The epoch's loss is divided by one batch too many.",
        consequence: "Logged losses are too low by 1 % at 97 batches and by 10 % at 9.",
        setting: "faults = [\"S5\"] of classification",
    },
    Discrepancy {
        id: "S6",
        name: "L-BFGS logged after its step",
        behaviour: "L-BFGS's loss is logged after its step on the batch, the other methods' before.",
        consequence: "Logged losses cannot be compared between methods.",
        setting: "faults = [\"S6\"] of classification",
    },
    Discrepancy {
        id: "S7",
        name: "one start for all seeds",
        behaviour: "The network is initialised before the seed is set, once for all seeds.",
        consequence: "The variance over seeds is that of the batch order only.",
        setting: "faults = [\"S7\"] of classification",
    },
    Discrepancy {
        id: "S8",
        name: "unpaired batch order",
        behaviour: "The seed is set once per seed, not per optimizer.",
        consequence: "The order of batches depends on an optimizer's place in the list: runs are not paired.",
        setting: "faults = [\"S8\"] of classification",
    },
    Discrepancy {
        id: "S9",
        name: "last partial batch dropped",
        behaviour: "The last batch of an epoch is dropped when it is not full.",
        consequence: "Up to one batch of samples is not seen in an epoch; others in the next.",
        setting: "in all arms",
    },
    Discrepancy {
        id: "S10",
        name: "pairs across batches",
        behaviour: "L-BFGS carries its last gradient and its history across batches.",
        consequence: "The y of a pair mixes two batches: noise is taken for curvature.",
        setting: "pairs = \"carried\" of lbfgs",
    },
    Discrepancy {
        id: "S11",
        name: "epochs hide the cost",
        behaviour: "Epochs are on the x axis, though L-BFGS makes 4 to 5 evaluations on a batch.",
        consequence: "A run of equal epochs costs up to about 4.9 times Adam's evaluations.",
        setting: "epochs in place of an equal budget; every axis is in the report",
    },
    Discrepancy {
        id: "S12",
        name: "norm of one batch",
        behaviour: "The gradient norm is the last mini-batch's.",
        consequence: "A noisy criterion.",
        setting: "in all arms: what a criterion sees costs nothing extra",
    },
    Discrepancy {
        id: "S13",
        name: "no validation split",
        behaviour: "The share of training data also cuts the test set; nothing is held out for choices; the last epoch is reported.",
        consequence: "What was chosen, was chosen on the data that are reported.",
        setting: "tuning of an experiment, which holds training data out; on in `corrected`",
    },
    Discrepancy {
        id: "S14",
        name: "settings ignored",
        behaviour: "The arguments for history size, evaluation limit and line search are ignored.",
        consequence: "One setting of L-BFGS only.",
        setting: "the constants are settings of lbfgs",
    },
    Discrepancy {
        id: "S15",
        name: "missing requirements",
        behaviour: "Two imported packages are not in the requirements.",
        consequence: "The README's commands fail on a clean installation.",
        setting: "concerns installation only",
    },
    Discrepancy {
        id: "S16",
        name: "unlimited line search",
        behaviour: "Before PyTorch 2.6 the strong-Wolfe search did not keep to its evaluation limit.",
        consequence: "Up to 25 more evaluations in a step: results depend on the PyTorch version.",
        setting: "evaluation_limit = \"torch-2.5\", \"torch-2.6\" or \"strict\" of lbfgs",
    },
];

/// All of them as a table in Markdown, for the documentation.
pub fn markdown() -> String {
    let headers = ["id", "behaviour", "what follows", "set by"];
    let row = |discrepancy: &Discrepancy| {
        vec![
            discrepancy.id.to_owned(),
            discrepancy.behaviour.to_owned(),
            discrepancy.consequence.to_owned(),
            discrepancy.setting.to_owned(),
        ]
    };
    let table = Table {
        headers: headers.map(str::to_owned).to_vec(),
        rows: DISCREPANCIES.iter().map(row).collect(),
    };
    table.markdown()
}
