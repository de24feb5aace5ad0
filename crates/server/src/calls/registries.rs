//! Registries themselves: who somebody is to them, and searching.

use dockerapi::{AuthConfig, Filters};
use engine::{Credentials, Search};
use hyper::header::HeaderMap;
use hyper::{Response, StatusCode};
use types::Kind;

use super::Context;
use crate::error::{Error, Result};
use crate::wire::answer::{Answer, json};
use crate::wire::body;

/// The header with who the client is to the registry.
pub(super) const IDENTITY: &str = "x-registry-auth";

/// `POST /auth`.
pub(super) async fn login(context: Context) -> Result<Response<Answer>> {
    let (head, rest) = context.request.into_parts();
    let auth: AuthConfig = body::document(&head.headers, rest).await?;
    Ok(json(StatusCode::OK, &context.engine.login(&auth).await?))
}

/// `GET /images/search`.
pub(super) async fn search(context: Context) -> Result<Response<Answer>> {
    let query = &context.query;
    let search = Search {
        term: query.get("term").unwrap_or_default().to_owned(),
        limit: query.number("limit")?,
        filters: Filters::parse(query.get("filters").unwrap_or_default())?,
        credentials: identity(context.request.headers()),
    };
    let found = context.engine.image_search(search).await;
    Ok(json(StatusCode::OK, &found.map_err(|error| without_question(error.into()))?))
}

/// `GET /distribution/{name}/json`.
pub(super) async fn look(context: Context) -> Result<Response<Answer>> {
    let credentials = identity(context.request.headers());
    let found = context.engine.distribution(&context.name, credentials).await;
    Ok(json(StatusCode::OK, &found.map_err(|error| without_question(error.into()))?))
}

/// A registry's refusal as a status other than 401, which only a login has: to anything else docker's command line takes it as the
/// question for a name and a password, also where nobody is there to answer.
pub(super) fn without_question(error: Error) -> Error {
    match error.kind() {
        Kind::Unauthorized => Error::new(Kind::Forbidden, error.to_string()),
        _ => error,
    }
}

/// Who the client is to the registry. What cannot be read is nobody, as dockerd has it: much is there for everybody.
pub(super) fn identity(headers: &HeaderMap) -> Credentials {
    let value = headers.get(IDENTITY).and_then(|value| value.to_str().ok()).unwrap_or_default();
    AuthConfig::from_header(value).map(|auth| engine::credentials(&auth)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_cannot_be_read_are_nobody() {
        let of = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IDENTITY, value.parse().unwrap());
            identity(&headers)
        };
        assert_eq!(of("%%%"), Credentials::Anonymous);
        let auth = AuthConfig { username: "kim".into(), ..AuthConfig::default() };
        assert!(matches!(of(&auth.to_header()), Credentials::Basic { user, .. } if user == "kim"));
    }
}
