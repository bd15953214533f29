//! The confidence of a verdict, in words and as a number.

/// Formats the probability that a verdict is wrong.
pub(crate) fn in_words(p_wrong: f64) -> String {
    let word = if p_wrong < 1e-4 {
        "practically certain"
    } else if p_wrong < 1e-2 {
        "very likely"
    } else if p_wrong < 0.1 {
        "likely"
    } else {
        "no more than a guess"
    };
    if p_wrong <= 0.0 {
        return word.to_owned();
    }
    let once_in = 1.0 / p_wrong;
    if once_in >= 1e9 {
        return format!("{word} (wrong less than once in a billion)");
    }
    format!("{word} (wrong once in {})", grouped(two_digits(once_in)))
}

/// Rounds to two significant digits: a probability based on a few packets has no more.
fn two_digits(figure: f64) -> f64 {
    if figure <= 0.0 || !figure.is_finite() {
        return 0.0;
    }
    // The conversion through text gives exactly 0.000042, not a neighbouring number.
    format!("{figure:.1e}").parse().unwrap_or(figure)
}

/// Formats a number with commas between thousands.
fn grouped(figure: f64) -> String {
    if figure < 10.0 {
        return format!("{figure:.1}");
    }
    let digits = format!("{figure:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_confidence_is_printed_in_words_and_as_a_number() {
        for (p_wrong, expected) in [
            (0.0, "practically certain"),
            (1e-12, "practically certain (wrong less than once in a billion)"),
            (0.000_042_1, "practically certain (wrong once in 24,000)"),
            (0.000_8, "very likely (wrong once in 1,200)"),
            (0.02, "likely (wrong once in 50)"),
            (0.25, "no more than a guess (wrong once in 4.0)"),
        ] {
            assert_eq!(in_words(p_wrong), expected);
        }
        assert_eq!(two_digits(0.000_042_1).to_string(), "0.000042");
        assert_eq!(two_digits(f64::NAN).to_string(), "0");
    }
}
