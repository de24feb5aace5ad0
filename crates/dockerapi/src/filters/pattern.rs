//! The little of regular expressions that people write into `name` filters: literals, `.`, `[…]`, `*`, `+`, `?`,
//! `^`, `$`, `\`. Anything else stands for itself.

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
    let one = |at: usize| text.get(at).is_some_and(|c| atom.takes(*c));
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

/// What one character may be.
enum Atom<'a> {
    Any,
    One(char),
    /// Between brackets: characters and ranges; all others when it begins with `^`.
    Class(&'a [char]),
}

impl Atom<'_> {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::One(wanted) => *wanted == c,
            Self::Class(['^', rest @ ..]) => !in_class(rest, c),
            Self::Class(class) => in_class(class, c),
        }
    }
}

fn in_class(class: &[char], c: char) -> bool {
    match class {
        [] => false,
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&c) || in_class(rest, c),
        [one, rest @ ..] => *one == c || in_class(rest, c),
    }
}

/// The first character to match and how long it is written.
fn atom(pattern: &[char]) -> Option<(Atom<'_>, usize)> {
    match pattern {
        [] => None,
        ['\\', escaped, ..] => Some((Atom::One(*escaped), 2)),
        ['.', ..] => Some((Atom::Any, 1)),
        ['[', rest @ ..] => match rest.iter().skip(1).position(|c| *c == ']') {
            Some(length) => Some((Atom::Class(&rest[..=length]), length + 3)),
            None => Some((Atom::One('['), 1)),
        },
        [plain, ..] => Some((Atom::One(*plain), 1)),
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
            ("f[12]$", "/f2", true),
            ("f[12]$", "/f3", false),
            ("^/[a-z]+-[0-9]*$", "/web-10", true),
            ("[^a-z]$", "/web", false),
            ("[]x]", "]", true),
            ("[", "a[b", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
