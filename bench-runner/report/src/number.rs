//! Numbers as people read them.

/// `value` to three significant digits.
pub fn short(value: f64) -> String {
    if value.is_nan() {
        return "–".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "∞" } else { "-∞" }.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    // Rounding first: 0.09996 is shown as 0.100 and 999.7 as 1000.
    let scientific = format!("{value:.2e}");
    let exponent: i32 = scientific
        .split_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0);
    if !(-3..=5).contains(&exponent) {
        return scientific;
    }
    let digits = (2 - exponent).max(0) as usize;
    format!("{value:.digits$}")
}

/// A setting, such as a target, in full: rounded it would be another one.
pub fn exact(value: f64) -> String {
    let rounded = short(value);
    if !value.is_finite() || rounded.parse() == Ok(value) {
        return rounded;
    }
    match value.abs() {
        1e-3..1e6 => value.to_string(),
        _ => format!("{value:e}"),
    }
}

/// A whole number with thin groups of three digits.
pub fn whole(value: f64) -> String {
    if !value.is_finite() {
        return short(value);
    }
    grouped(&format!("{:.0}", value))
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits), |rest| ("-", rest));
    let mut text = String::from(sign);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share as a percentage with two decimals.
pub fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{:.2} %", 100.0 * share)
    } else {
        short(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1.00"),
            (0.09996, "0.100"),
            (999.7, "1000"),
            (-12.345, "-12.3"),
            (123_456.0, "123456"),
            (1_234_567.0, "1.23e6"),
            (0.000_123_4, "1.23e-4"),
            (f64::INFINITY, "∞"),
            (f64::NAN, "–"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn settings_are_not_rounded() {
        for (value, text) in [
            (2.7, "2.70"),
            (0.15, "0.150"),
            (2.345, "2.345"),
            (0.012_345, "0.012345"),
            (1e-14, "1.00e-14"),
            (1.2345e-7, "1.2345e-7"),
            (1_234_567.0, "1.234567e6"),
            (f64::INFINITY, "∞"),
        ] {
            assert_eq!(exact(value), text);
        }
    }

    #[test]
    fn whole_numbers_are_grouped() {
        assert_eq!(whole(0.0), "0");
        assert_eq!(whole(999.0), "999");
        assert_eq!(whole(1000.0), "1,000");
        assert_eq!(whole(-1_234_567.4), "-1,234,567");
    }
}
