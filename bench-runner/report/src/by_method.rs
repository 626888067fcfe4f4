//! A suite's methods side by side, read from its summary: one row for each problem, each method by its best trial.

use bench_experiment::store::method;

use crate::number::short;
use crate::table::Table;

/// The columns of `summary.csv` that are read.
const COLUMNS: [&str; 3] = ["problem", "optimizer", "loss_median"];

/// The median final loss over seeds of each method's trial of the lowest one, from the text of a `summary.csv`, on the
/// problems whose label begins with `part`; in words what is wrong with the text.
pub(crate) fn table(csv: &str, part: &str) -> Result<Table, String> {
    let mut reader = ::csv::Reader::from_reader(csv.as_bytes());
    let headers = reader.headers().map_err(|error| error.to_string())?;
    let places = COLUMNS.map(|column| headers.iter().position(|header| header == column));
    let [Some(problem), Some(optimizer), Some(loss)] = places else {
        return Err(format!("a column is missing: {}", COLUMNS.join(", ")));
    };
    let (mut problems, mut methods) = (Vec::<String>::new(), Vec::<String>::new());
    let mut lowest: Vec<Vec<f64>> = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let cell = |column: usize| record.get(column).unwrap_or_default();
        if !cell(problem).starts_with(part) {
            continue;
        }
        let row = place(&mut problems, cell(problem));
        let column = place(&mut methods, &method(cell(optimizer)));
        lowest.resize_with(problems.len(), Vec::new);
        let losses = &mut lowest[row];
        losses.resize(methods.len().max(losses.len()), f64::NAN);
        // A cell without runs has no median.
        let value = cell(loss).parse().unwrap_or(f64::NAN);
        // `min` takes the other where one is NaN.
        losses[column] = losses[column].min(value);
    }
    if problems.is_empty() {
        return Err(format!("no problem's label begins with `{part}`"));
    }
    let rows = problems.into_iter().zip(&lowest).map(|(problem, losses)| {
        let loss = |column: usize| short(losses.get(column).copied().unwrap_or(f64::NAN));
        let losses = (0..methods.len()).map(loss);
        std::iter::once(problem).chain(losses).collect()
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
        let csv = "problem,optimizer,runs,loss_median\n\
                   a,adam/learning_rate=0.1,5,2.0\na,adam/learning_rate=0.01,5,0.5\na,lbfgs,5,inf\n\
                   \"b, c\",lbfgs,5,1e-9\n";
        let found = table(csv, "").unwrap();
        assert_eq!(found.headers, ["problem", "adam", "lbfgs"]);
        assert_eq!(found.rows, [["a", "0.500", "∞"], ["b, c", "–", "1.00e-9"]]);
        let part = table(csv, "b").unwrap();
        assert_eq!(part.headers, ["problem", "lbfgs"]);
        assert_eq!(part.rows, [["b, c", "1.00e-9"]]);
        let wrong = |csv, part| table(csv, part).unwrap_err();
        assert_eq!(wrong(csv, "c/"), "no problem's label begins with `c/`");
        assert!(wrong("problem,optimizer\n", "").contains("loss_median"));
    }
}
