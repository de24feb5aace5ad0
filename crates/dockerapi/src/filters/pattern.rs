//! The little of regular expressions that people write into `name` filters: literals, `.`, `*`, `+`, `?`, `^`,
//! `$`, `\`. Anything else stands for itself.

/// Does the pattern match somewhere in the text?
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().take(256).collect();
    let text: Vec<char> = text.chars().collect();
    match pattern.split_first() {
        Some(('^', rest)) => here(rest, &text),
        _ => (0..=text.len()).any(|start| here(&pattern, &text[start..])),
    }
}

/// Does the pattern match at the start of the text?
fn here(pattern: &[char], text: &[char]) -> bool {
    let Some((atom, length)) = atom(pattern) else { return true };
    if pattern == ['$'] {
        return text.is_empty();
    }
    let rest = &pattern[length..];
    let one = |at: usize| text.get(at).is_some_and(|c| atom.is_none_or(|wanted| wanted == *c));
    let (least, most, rest) = match rest.first() {
        Some('*') => (0, usize::MAX, &rest[1..]),
        Some('+') => (1, usize::MAX, &rest[1..]),
        Some('?') => (0, 1, &rest[1..]),
        _ => (1, 1, rest),
    };
    let mut count = 0;
    loop {
        if count >= least && here(rest, &text[count..]) {
            return true;
        }
        if count == most || !one(count) {
            return false;
        }
        count += 1;
    }
}

/// The first character to match (`None`: any) and how long it is written.
fn atom(pattern: &[char]) -> Option<(Option<char>, usize)> {
    match pattern {
        [] => None,
        ['\\', escaped, ..] => Some((Some(*escaped), 2)),
        ['.', ..] => Some((None, 1)),
        [plain, ..] => Some((Some(*plain), 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn matches_as_name_filters_do() {
        for (pattern, text, expected) in [
            ("web", "/my-web-1", true),
            ("^/web$", "/web", true),
            ("^web$", "/web", false),
            ("^/web", "/web2", true),
            ("web$", "/web2", false),
            ("w.b", "/wxb", true),
            ("/a.*z$", "/abcz", true),
            ("ab+c", "ac", false),
            ("ab?c", "ac", true),
            ("a\\.b", "axb", false),
            ("", "x", true),
            ("a*a*a*b", "aaaaaaaa", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
