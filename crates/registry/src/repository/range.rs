//! Answers to a request for the rest of a blob (RFC 9110, sections 14 and 15.3.7).

/// What to do with the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It is the rest.
    Here,
    /// It is all: so many bytes are to be passed over.
    After(u64),
}

/// Judges an answer to a request for `from..size`. The error is a sentence.
pub(crate) fn judge(
    status: u16,
    content_range: Option<&str>,
    length: Option<u64>,
    from: u64,
    size: u64,
) -> Result<Rest, String> {
    let expected = match status {
        200 => size,
        206 => {
            let range = content_range.ok_or("a part came without saying which")?;
            let (first, last, total) =
                parse(range).ok_or_else(|| format!("{range:?} is not a range of content"))?;
            if first != from || last != size - 1 || total.is_some_and(|total| total != size) {
                return Err(format!("bytes {from} to {} of {size} were asked for, {range:?} came", size - 1));
            }
            size - from
        }
        _ => return Err(format!("status {status} is no answer to a range")),
    };
    match length {
        Some(length) if length != expected => {
            Err(format!("the blob should have {expected} bytes more, the registry sends {length}"))
        }
        _ if status == 200 && from > 0 => Ok(Rest::After(from)),
        _ => Ok(Rest::Here),
    }
}

/// First, last and total of a `Content-Range`; the total may be unknown.
fn parse(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (first, last): (u64, u64) = (number(first)?, number(last)?);
    let total = if total == "*" { None } else { Some(number(total)?) };
    (first <= last).then_some((first, last, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_of_a_hundred_bytes() {
        let ok = |rest| Ok::<Rest, ()>(rest);
        for (status, range, length, from, judged) in [
            (200, None, Some(100), 0, ok(Rest::Here)),
            (200, None, None, 0, ok(Rest::Here)),
            (200, None, Some(99), 0, Err(())),
            (200, None, Some(100), 40, ok(Rest::After(40))),
            (200, None, Some(60), 40, Err(())),
            (206, Some("bytes 40-99/100"), Some(60), 40, ok(Rest::Here)),
            (206, Some("bytes 40-99/*"), None, 40, ok(Rest::Here)),
            (206, Some("bytes 0-99/100"), Some(100), 0, ok(Rest::Here)),
            (206, Some("bytes 40-99/100"), Some(61), 40, Err(())),
            (206, Some("bytes 39-99/100"), Some(61), 40, Err(())),
            (206, Some("bytes 40-98/100"), Some(59), 40, Err(())),
            (206, Some("bytes 40-99/101"), Some(60), 40, Err(())),
            (206, Some("bytes 99-40/100"), Some(60), 40, Err(())),
            (206, Some("bytes */100"), Some(60), 40, Err(())),
            (206, Some("bytes +40-99/100"), Some(60), 40, Err(())),
            (206, Some("items 40-99/100"), Some(60), 40, Err(())),
            (206, None, Some(60), 40, Err(())),
            (204, None, None, 40, Err(())),
        ] {
            let is = judge(status, range, length, from, 100).map_err(|_| ());
            assert_eq!(is, judged, "{status} {range:?} {length:?} {from}");
        }
    }
}
