//! A command line on one line.

/// The words, quoted where a shell would need it; control characters are escaped.
#[must_use]
pub fn command_line(words: &[String]) -> String {
    words.iter().map(|w| quoted(w)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else if word.chars().any(|c| c.is_control() || c == '\'') {
        format!("\"{}\"", word.escape_debug())
    } else {
        format!("'{word}'")
    }
}

#[cfg(test)]
mod tests {
    use super::command_line;

    #[test]
    fn one_line_always() {
        let words = ["python3", "-c", "a = 1\nprint('x')", "a b", ""].map(str::to_owned);
        assert_eq!(command_line(&words), r#"python3 -c "a = 1\nprint(\'x\')" 'a b' ''"#);
    }
}
