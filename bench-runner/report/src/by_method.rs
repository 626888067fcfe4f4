//! A suite's methods side by side, read from its summary: one row for each problem, each method by its best trial.

use bench_experiment::spec::method;

use crate::number::short;
use crate::table::Table;

/// What is shown of each method.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown {
    /// The median final loss over seeds, of the trial whose loss is lowest.
    Loss,
    /// How many runs reached the target, of the trial of which most did.
    Reached,
}

impl Shown {
    /// The column of `summary.csv` that is shown.
    fn column(self) -> &'static str {
        match self {
            Self::Loss => "loss_median",
            Self::Reached => "reached_target",
        }
    }

    /// What a trial is chosen by, the lowest, and what is shown of it.
    fn of(self, value: &str, runs: &str) -> (f64, String) {
        // A cell without runs has no median.
        let number = value.parse().unwrap_or(f64::NAN);
        match self {
            Self::Loss => (number, short(number)),
            Self::Reached => (-number, format!("{value}/{runs}")),
        }
    }
}

/// What is shown of each method, from the text of a `summary.csv`, on the problems whose label begins with `part`; in words
/// what is wrong with the text.
pub(crate) fn table(csv: &str, part: &str, shown: Shown) -> Result<Table, String> {
    let columns = ["problem", "optimizer", "runs", shown.column()];
    let mut reader = ::csv::Reader::from_reader(csv.as_bytes());
    let headers = reader.headers().map_err(|error| error.to_string())?;
    let places = columns.map(|column| headers.iter().position(|header| header == column));
    let [Some(problem), Some(optimizer), Some(runs), Some(value)] = places else {
        return Err(format!("a column is missing: {}", columns.join(", ")));
    };
    let (mut problems, mut methods) = (Vec::<String>::new(), Vec::<String>::new());
    let mut best: Vec<Vec<Option<(f64, String)>>> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let cell = |column: usize| record.get(column).unwrap_or_default();
        if !cell(problem).starts_with(part) {
            continue;
        }
        let row = place(&mut problems, cell(problem));
        let column = place(&mut methods, &method(cell(optimizer)));
        best.resize_with(problems.len(), Vec::new);
        let of_methods = &mut best[row];
        of_methods.resize(methods.len().max(of_methods.len()), None);
        let trial = shown.of(cell(value), cell(runs));
        let is_better = |known: &(f64, String)| trial.0 < known.0 || known.0.is_nan();
        if of_methods[column].as_ref().is_none_or(is_better) {
            of_methods[column] = Some(trial);
        }
    }
    if problems.is_empty() {
        return Err(format!("no problem's label begins with `{part}`"));
    }
    let rows = problems.into_iter().zip(best).map(|(problem, mut best)| {
        best.resize(methods.len(), None);
        let text = |trial: Option<(f64, String)>| trial.map_or_else(|| "–".into(), |it| it.1);
        std::iter::once(problem)
            .chain(best.into_iter().map(text))
            .collect()
    });
    let rows = rows.collect();
    let headers = std::iter::once("problem".to_owned())
        .chain(methods)
        .collect();
    Ok(Table { headers, rows })
}

/// The place of `name` in `names`, where it is put at the end if it is new.
fn place(names: &mut Vec<String>, name: &str) -> usize {
    names
        .iter()
        .position(|known| known == name)
        .unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_method_is_shown_by_its_best_trial() {
        let csv = "problem,optimizer,runs,loss_median,reached_target\n\
                   a,adam/learning_rate=0.1,5,2.0,4\na,adam/learning_rate=0.01,5,0.5,3\na,lbfgs,5,inf,0\n\
                   \"b, c\",lbfgs,5,1e-9,5\n";
        let found = table(csv, "", Shown::Loss).unwrap();
        assert_eq!(found.headers, ["problem", "adam", "lbfgs"]);
        assert_eq!(found.rows, [["a", "0.500", "∞"], ["b, c", "–", "1.00e-9"]]);
        let reached = table(csv, "", Shown::Reached).unwrap();
        assert_eq!(reached.rows, [["a", "4/5", "0/5"], ["b, c", "–", "5/5"]]);
        let part = table(csv, "b", Shown::Loss).unwrap();
        assert_eq!(part.headers, ["problem", "lbfgs"]);
        assert_eq!(part.rows, [["b, c", "1.00e-9"]]);
        let wrong = |csv, part| table(csv, part, Shown::Loss).unwrap_err();
        assert_eq!(wrong(csv, "c/"), "no problem's label begins with `c/`");
        assert!(wrong("problem,optimizer\n", "").contains("loss_median"));
    }
}
