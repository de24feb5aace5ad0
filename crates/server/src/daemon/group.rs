//! The number of a group in `/etc/group`.

/// Finds a group by name in the text of `/etc/group` (group(5): `name:password:gid:members`); a number is itself.
pub(super) fn find(text: &str, name: &str) -> Option<u32> {
    let named = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    named.or_else(|| name.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn finds_groups() {
        let text = "root:x:0:\ndocker2:x:7:\ndocker:x:998:ann,bob\nbroken\ndoc:x:y:";
        assert_eq!(find(text, "docker"), Some(998));
        assert_eq!((find(text, "root"), find(text, "12")), (Some(0), Some(12)));
        assert_eq!((find(text, "broken"), find(text, "doc"), find(text, "none")), (None, None, None));
    }
}
