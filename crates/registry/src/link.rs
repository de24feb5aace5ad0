//! `Link` headers: where a list goes on (RFC 8288).

/// The target of the link whose relation is `next`.
#[must_use]
pub fn next_link(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (target, after) = rest.trim_start_matches([' ', '\t', ',']).strip_prefix('<')?.split_once('>')?;
        let (parameters, more) = split_parameters(after);
        if parameters.iter().any(|(name, value)| name.eq_ignore_ascii_case("rel") && has_word(value, "next"))
        {
            return Some(target);
        }
        rest = more;
    }
}

fn has_word(value: &str, word: &str) -> bool {
    value.split_ascii_whitespace().any(|relation| relation.eq_ignore_ascii_case(word))
}

/// The `; name=value` parts up to the next comma outside quotes, and what follows it.
fn split_parameters(text: &str) -> (Vec<(&str, &str)>, &str) {
    let mut quoted = false;
    let end = text.bytes().position(|b| {
        quoted ^= b == b'"';
        b == b',' && !quoted
    });
    let (own, more) = end.map_or((text, ""), |end| (&text[..end], &text[end + 1..]));
    let parts = own.split(';').filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        Some((name.trim(), value.trim().trim_matches('"')))
    });
    (parts.collect(), more)
}

#[cfg(test)]
mod tests {
    use super::next_link;

    #[test]
    fn the_next_page() {
        for (header, next) in [
            (r#"</v2/x/tags/list?last=b&n=2>; rel="next""#, Some("/v2/x/tags/list?last=b&n=2")),
            ("<a>;rel=next", Some("a")),
            (r#"<a>; rel="prev", <b>; REL="last NEXT""#, Some("b")),
            (r#"<a>; title="x, y"; rel="next""#, Some("a")),
            (r#"<a,b>; rel="next""#, Some("a,b")),
            (r#"<a>; rel="prev""#, None),
            ("<a>", None),
            ("<a; rel=next", None),
            ("a; rel=next", None),
            ("", None),
            (",,,", None),
        ] {
            assert_eq!(next_link(header), next, "{header}");
        }
    }
}
