//! Where an answer sends us on to, and what may go along (CVE-2020-15157).

use hyper::{Method, StatusCode};

use crate::http::Url;

/// Longer chains are loops.
pub(crate) const MOST: u32 = 10;

/// The next place, when the answer is a redirect that this method follows. The error is a sentence.
pub(crate) fn next(
    method: &Method,
    status: StatusCode,
    location: Option<&str>,
    from: &Url,
    may_be_plain: bool,
) -> Result<Option<Url>, String> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let follows = match status.as_u16() {
        307 | 308 => true,
        301..=303 => reads,
        _ => false,
    };
    if !follows {
        return Ok(None);
    }
    let location = location.ok_or_else(|| format!("{from} redirects to nowhere"))?;
    let to = from.join(location)?;
    if from.origin.is_tls && !to.origin.is_tls && !may_be_plain {
        return Err(format!(
            "{from} redirects from https to plain http ({}): not followed",
            to.origin.authority()
        ));
    }
    Ok(Some(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_followed() {
        let from = Url::parse("https://a.example/v2/x/blobs/y").unwrap();
        let check = |method: Method, status: u16, location: Option<&str>| {
            next(&method, StatusCode::from_u16(status).unwrap(), location, &from, false)
                .map(|url| url.map(|url| url.to_string()))
        };
        let to = "https://b.example/z";
        for status in [301, 302, 303, 307, 308] {
            assert_eq!(check(Method::GET, status, Some(to)), Ok(Some(to.to_owned())), "{status}");
        }
        for status in [200, 201, 202, 300, 304, 305, 404] {
            assert_eq!(check(Method::GET, status, Some(to)), Ok(None), "{status}");
        }
        assert_eq!(check(Method::PUT, 302, Some(to)), Ok(None));
        assert_eq!(check(Method::PUT, 307, Some(to)), Ok(Some(to.to_owned())));
        assert_eq!(check(Method::GET, 307, Some("/q")), Ok(Some("https://a.example/q".to_owned())));
        for bad in [None, Some("http://a.example/z"), Some("ftp://a/"), Some("https://u:p@a/"), Some("//")] {
            assert!(check(Method::GET, 307, bad).is_err(), "{bad:?}");
        }
    }
}
