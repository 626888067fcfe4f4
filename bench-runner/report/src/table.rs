//! A table of texts and the formats it can be written in.

use crate::csv;

/// A table of texts; the first column names the row.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Table {
    /// The column names.
    pub headers: Vec<String>,
    /// The cells of each row, as many as there are headers.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// The table in GitHub's Markdown, numbers to the right.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells
                .iter()
                .map(|cell| markdown_text(cell).replace('|', "\\|"))
                .collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let mut text = line(&self.headers);
        text.push_str("|:---|");
        text.push_str(&"---:|".repeat(self.headers.len().saturating_sub(1)));
        text.push('\n');
        for row in &self.rows {
            text.push_str(&line(row));
        }
        text
    }

    /// The table in CSV.
    pub fn csv(&self) -> String {
        let rows = std::iter::once(&self.headers).chain(&self.rows);
        rows.map(|row| csv::line(row)).collect()
    }

    /// The table in LaTeX with the rules of `booktabs`; it needs `\usepackage{booktabs}`.
    pub fn latex(&self, caption: &str, label: &str) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| latex_text(cell)).collect();
            format!("    {} \\\\\n", cells.join(" & "))
        };
        let columns = format!("l{}", "r".repeat(self.headers.len().saturating_sub(1)));
        let mut text = format!(
            "\\begin{{table}}\n  \\centering\n  \\caption{{{}}}\n  \\label{{{label}}}\n  \
             \\begin{{tabular}}{{{columns}}}\n    \\toprule\n{}    \\midrule\n",
            latex_text(caption),
            line(&self.headers)
        );
        for row in &self.rows {
            text.push_str(&line(row));
        }
        text.push_str("    \\bottomrule\n  \\end{tabular}\n\\end{table}\n");
        text
    }

    /// The table in plain text with aligned columns, each line at most `width` characters: columns
    /// from the right end are left out until the rest fits.
    pub fn plain(&self, width: usize) -> String {
        let widths: Vec<usize> = (0..self.headers.len())
            .map(|column| {
                std::iter::once(&self.headers)
                    .chain(&self.rows)
                    .filter_map(|row| row.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let mut shown = widths.len();
        while shown > 1 && widths[..shown].iter().sum::<usize>() + 2 * (shown - 1) > width {
            shown -= 1;
        }
        let mut text = String::new();
        for row in std::iter::once(&self.headers).chain(&self.rows) {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .take(shown)
                .enumerate()
                .map(|(column, (cell, &width))| {
                    if column == 0 {
                        format!("{cell:<width$}")
                    } else {
                        format!("{cell:>width$}")
                    }
                })
                .collect();
            let line: String = cells.join("  ").chars().take(width).collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Text on one line of Markdown, in which no HTML element and no link begins.
pub(super) fn markdown_text(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
        .replace('<', "&lt;")
        .replace("](", "]\\(")
}

/// Text with LaTeX's special characters escaped.
fn latex_text(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\\' => "\\textbackslash{}".to_owned(),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => format!("\\{c}"),
            '~' => "\\textasciitilde{}".to_owned(),
            '^' => "\\textasciicircum{}".to_owned(),
            '∞' => "$\\infty$".to_owned(),
            '×' => "$\\times$".to_owned(),
            '–' => "--".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table {
            headers: ["optimizer", "loss", "notes"].map(Into::into).to_vec(),
            rows: vec![
                ["a|b", "∞", "5 %"].map(Into::into).to_vec(),
                ["fuse_pv", "1.0", ""].map(Into::into).to_vec(),
            ],
        }
    }

    #[test]
    fn markdown_escapes_its_separator() {
        assert_eq!(
            table().markdown(),
            "| optimizer | loss | notes |\n|:---|---:|---:|\n| a\\|b | ∞ | 5 % |\n| fuse_pv | 1.0 |  |\n"
        );
    }

    #[test]
    fn markdown_holds_no_element_and_no_link_of_a_label() {
        let text = markdown_text("<script>\n[x](https://example.org)");
        assert_eq!(text, "&lt;script> [x]\\(https://example.org)");
    }

    #[test]
    fn latex_escapes_its_special_characters() {
        let latex = table().latex("50 % & more", "tab:x");
        assert!(latex.contains("\\caption{50 \\% \\& more}"));
        assert!(latex.contains("a|b & $\\infty$ & 5 \\% \\\\"));
        assert!(latex.contains("fuse\\_pv & 1.0 &  \\\\"));
    }

    #[test]
    fn plain_text_leaves_out_columns_that_do_not_fit() {
        assert_eq!(
            table().plain(80),
            "optimizer  loss  notes\na|b           ∞    5 %\nfuse_pv     1.0\n"
        );
        assert_eq!(
            table().plain(16),
            "optimizer  loss\na|b           ∞\nfuse_pv     1.0\n"
        );
    }
}
