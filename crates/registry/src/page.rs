//! Lists that come page by page.

use hyper::header::LINK;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::exchange::Answer;
use crate::http::{Response, Url};
use crate::link::next_link;

/// A page of a list may have so many bytes.
const PAGE_BYTES: u64 = 16 << 20;
/// And a list so many pages: an end must come.
pub(crate) const PAGES: usize = 10_000;

/// One page of a list, and where it goes on: at the same host, or the list is refused.
pub(crate) async fn read_page<T: DeserializeOwned>(answer: Answer) -> Result<(T, Option<Url>)> {
    let Answer { mut response, url, asked, .. } = answer;
    let next = next(&response, &url).map_err(|why| Error::corrupt(format!("{asked}: {why}")))?;
    Ok((read_document(&asked, &mut response, PAGE_BYTES).await?, next))
}

/// A JSON document of at most so many bytes.
pub(crate) async fn read_document<T: DeserializeOwned>(
    asked: &str,
    response: &mut Response,
    most: u64,
) -> Result<T> {
    response.refuse_encoding().map_err(|why| Error::corrupt(format!("{asked}: {why}")))?;
    let bytes = response.body.whole(most).await;
    let bytes = bytes.map_err(|failure| Error::unreachable(asked, &failure))?;
    let bytes = bytes.ok_or_else(|| Error::corrupt(format!("{asked}: more than {most} bytes came")))?;
    serde_json::from_slice(&bytes)
        .map_err(|e| Error::corrupt(format!("{asked}: the answer cannot be read: {e}")))
}

fn next(response: &Response, url: &Url) -> Result<Option<Url>, String> {
    let Some(link) = response.header(LINK).and_then(next_link) else { return Ok(None) };
    let next = url.join(link)?;
    if next.origin == url.origin {
        Ok(Some(next))
    } else {
        Err("the list goes on at another host".to_owned())
    }
}
