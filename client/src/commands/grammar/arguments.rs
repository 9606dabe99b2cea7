//! Numbers and names.

pub(super) fn number<T: std::str::FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("expected {what}, not '{text}'"))
}

pub(super) fn count(rest: &str) -> Result<u64, String> {
    at_least_one(rest, "stop points")
}

pub(super) fn instructions(rest: &str) -> Result<u64, String> {
    at_least_one(rest, "instructions")
}

/// How many frames of the stack; `None` where that is left open.
pub(super) fn innermost(rest: &str) -> Result<Option<u32>, String> {
    match rest {
        "" => Ok(None),
        _ => at_least_one(rest, "frames").map(|n| Some(u32::try_from(n).unwrap_or(u32::MAX))),
    }
}

pub(super) fn hits(rest: &str) -> Result<u64, String> {
    at_least_one(rest, "hits")
}

fn at_least_one(rest: &str, of_what: &str) -> Result<u64, String> {
    match rest {
        "" => Ok(1),
        _ => number(rest, &format!("a number of {of_what}")).and_then(|n| {
            if n == 0 {
                Err(format!("the number of {of_what} must be at least 1"))
            } else {
                Ok(n)
            }
        }),
    }
}

pub(super) fn is_name(text: &str) -> bool {
    let usual = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.chars().all(usual) && text.chars().next().is_some_and(char::is_alphabetic)
}

pub(super) fn name_of(rest: &str) -> Result<String, String> {
    if is_name(rest) && rest != "start" && rest != "end" {
        Ok(rest.to_owned())
    } else {
        Err(format!(
            "expected a name of letters, digits, _ and -, beginning with a letter and not start or end, not '{rest}'"
        ))
    }
}

pub(super) fn optional(rest: &str) -> Result<Option<u32>, String> {
    match rest {
        "" => Ok(None),
        _ => number(rest, "a breakpoint number").map(Some),
    }
}

pub(super) fn frames(rest: &str) -> Result<u32, String> {
    match rest {
        "" => Ok(1),
        _ => number(rest, "a number of frames"),
    }
}

pub(super) fn thread(rest: &str) -> Result<Option<u32>, String> {
    match rest {
        "" => Ok(None),
        _ => number(rest, "a thread number").map(Some),
    }
}
