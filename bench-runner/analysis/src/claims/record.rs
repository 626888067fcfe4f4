//! Recorded verdicts, written into the file of claims.

use super::judgement::Judgement;

/// The text of a file of claims with these verdicts, and the counts that it records, in place of its own;
/// all else, comments too, stays.
///
/// # Errors
/// When the text is not TOML.
pub fn updated(text: &str, judgements: &[Judgement]) -> Result<String, toml_edit::TomlError> {
    let mut document: toml_edit::DocumentMut = text.parse()?;
    let tables = document.get_mut("claim");
    let tables = tables.and_then(|item| item.as_array_of_tables_mut());
    for table in tables.into_iter().flat_map(|tables| tables.iter_mut()) {
        let id = table.get("id").and_then(|id| id.as_str());
        let Some(judged) = judgements.iter().find(|judged| Some(&*judged.id) == id) else {
            continue;
        };
        let verdict = judged.verdict.to_string().replace(' ', "-");
        let counted = judged.value.filter(|_| judged.interval.is_none());
        let new = [
            ("expected", Some(toml_edit::Value::from(verdict))),
            ("exactly", counted.map(toml_edit::Value::from)),
        ];
        for (key, value) in new {
            if let (Some(value), Some(old)) = (value, table.get_mut(key))
                && let Some(old) = old.as_value_mut()
            {
                let decor = old.decor().clone();
                *old = value;
                *old.decor_mut() = decor;
            }
        }
    }
    Ok(document.to_string())
}
