//! The known name that a misspelt one probably means.

/// The known name that is nearest to `name`, if one is near.
pub fn nearest<'a>(known: &'a [String], name: &str) -> Option<&'a str> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(candidate, name), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 2)
        .min()
        .map(|(_, candidate)| candidate.as_str())
}

/// "; did you mean `x`?" or the list of known names, for the end of an error message.
pub fn suggestion(known: &[String], name: &str) -> String {
    match nearest(known, name) {
        Some(candidate) => format!("; did you mean `{candidate}`?"),
        None => format!("; known: {}", known.join(", ")),
    }
}
