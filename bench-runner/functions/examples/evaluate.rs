//! Evaluates a function for a program in another language (`scripts/scipy_lbfgs.py`): reads a point
//! per line and writes the value and the gradient, numbers with a space between them. The first line
//! it writes is the smallest value, or `nan` where that is not known, and the start.
//!
//! `cargo run -p bench-functions --example evaluate -- mgh wood 4`

use std::error::Error;
use std::io::{self, BufRead, Write};

use bench_functions::{bbob, find, mgh, scalable};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [set, name, dimension] = arguments.as_slice() else {
        return Err("a set (mgh, bbob or scalable), a function and a dimension are needed".into());
    };
    let functions = match set.as_str() {
        "mgh" => mgh::FUNCTIONS,
        "bbob" => bbob::FUNCTIONS,
        "scalable" => scalable::FUNCTIONS,
        _ => return Err(format!("no set `{set}`: mgh, bbob or scalable").into()),
    };
    let mut function = find(functions, name)?.build(dimension.parse()?, 1)?;
    let mut output = io::stdout().lock();
    let minimum = function.minimum().unwrap_or(f64::NAN);
    write_line(&mut output, minimum, &function.start)?;
    let mut gradient = vec![0.0; function.dimension()];
    for line in io::stdin().lock().lines() {
        let x: Vec<f64> = line?
            .split_ascii_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        if x.len() != gradient.len() {
            let count = gradient.len();
            return Err(format!("a point of {} numbers; {count} are needed", x.len()).into());
        }
        let value = function.evaluate(&x, &mut gradient);
        write_line(&mut output, value, &gradient)?;
    }
    Ok(())
}

fn write_line(output: &mut impl Write, first: f64, others: &[f64]) -> io::Result<()> {
    write!(output, "{first:e}")?;
    for number in others {
        write!(output, " {number:e}")?;
    }
    writeln!(output)?;
    output.flush()
}
