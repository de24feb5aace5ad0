//! JSON text laid out again without being read into values: order and numbers stay as they came.

/// Indents a JSON text, each level by `step`.
pub(crate) fn indent(text: &str, step: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if quoted {
            out.push(c);
            quoted = escaped || c != '"';
            escaped = c == '\\' && !escaped;
            continue;
        }
        match c {
            '{' | '[' => {
                out.push(c);
                while chars.next_if(char::is_ascii_whitespace).is_some() {}
                if chars.peek().is_some_and(|next| matches!(next, '}' | ']')) {
                    out.extend(chars.next());
                } else {
                    depth += 1;
                    line(&mut out, depth, step);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth, step);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth, step);
            }
            ':' => out.push_str(": "),
            '"' => {
                quoted = true;
                out.push(c);
            }
            c if c.is_ascii_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

fn line(out: &mut String, depth: usize, step: &str) {
    out.push('\n');
    (0..depth).for_each(|_| out.push_str(step));
}

#[cfg(test)]
mod tests {
    #[test]
    fn keeps_order_and_numbers() {
        let text = r#"[{"b":1.50,"a":[],"c":{ },"d":["x,\"{}",2]}]"#;
        let out = "[\n  {\n    \"b\": 1.50,\n    \"a\": [],\n    \"c\": {},\n    \"d\": [\n      \"x,\\\"{}\",\n      2\n    ]\n  }\n]";
        assert_eq!(super::indent(text, "  "), out);
    }
}
