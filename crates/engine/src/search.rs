//! Searching a registry for images.

use dockerapi::{Filters, SearchResult};
use registry::Credentials;

use crate::engine::Engine;
use crate::{Error, Result};

/// So many results are asked for when nobody says how many.
const LIMIT: i64 = 25;
const LIMITS: std::ops::RangeInclusive<i64> = 1..=100;

/// A search.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// What to look for, perhaps behind the host of a registry.
    pub term: String,
    /// Most results.
    pub limit: Option<i64>,
    /// `is-official`, `is-automated`, `stars`.
    pub filters: Filters,
    /// Who asks.
    pub credentials: Credentials,
}

impl Engine {
    /// Asks a registry for images by a word.
    ///
    /// # Errors
    /// `InvalidInput` for a limit or filter that means nothing; what the registry refuses.
    pub async fn image_search(&self, search: Search) -> Result<Vec<SearchResult>> {
        let wanted = Wanted::of(&search.filters)?;
        let limit = search.limit.unwrap_or(LIMIT);
        if !LIMITS.contains(&limit) {
            let (least, most) = (LIMITS.start(), LIMITS.end());
            return Err(Error::invalid(format!("Limit {limit} is outside the range of [{least}, {most}]")));
        }
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let (domain, words) = split(&search.term);
        let found = self.0.registry.search(domain, words, limit, search.credentials).await?;
        Ok(found.into_iter().map(document).filter(|one| wanted.fits(one)).collect())
    }
}

/// The registry and the words of a term.
fn split(term: &str) -> (&str, &str) {
    match term.split_once('/') {
        Some(("docker.io" | "index.docker.io", rest)) => {
            ("docker.io", rest.strip_prefix("library/").unwrap_or(rest))
        }
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest),
        _ => ("docker.io", term),
    }
}

fn document(hit: registry::Hit) -> SearchResult {
    SearchResult {
        star_count: hit.stars,
        is_official: hit.is_official,
        name: hit.name,
        is_automated: hit.is_automated,
        description: hit.description,
    }
}

/// What results must be like.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    official: Option<bool>,
    automated: Option<bool>,
    stars: i64,
}

impl Wanted {
    fn of(filters: &Filters) -> Result<Self> {
        filters.only(&["is-automated", "is-official", "stars"])?;
        let mut stars = 0;
        for text in filters.get("stars") {
            let count: i64 =
                text.parse().map_err(|_| Error::invalid(format!("invalid filter 'stars=[{text}]'")))?;
            stars = stars.max(count);
        }
        Ok(Self { official: filters.truth("is-official")?, automated: filters.truth("is-automated")?, stars })
    }

    fn fits(&self, found: &SearchResult) -> bool {
        self.official.is_none_or(|official| official == found.is_official)
            && self.automated.is_none_or(|automated| automated == found.is_automated)
            && found.star_count >= self.stars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_split() {
        for (term, domain, words) in [
            ("box", "docker.io", "box"),
            ("kim/box", "docker.io", "kim/box"),
            ("docker.io/library/box", "docker.io", "box"),
            ("r.test:5000/kim/box", "r.test:5000", "kim/box"),
            ("", "docker.io", ""),
        ] {
            assert_eq!(split(term), (domain, words), "{term}");
        }
    }

    #[test]
    fn filters_choose() {
        let wanted = |text: &str| Wanted::of(&Filters::parse(text).unwrap());
        let found = SearchResult { star_count: 5, is_official: true, ..SearchResult::default() };
        for (text, fits) in [
            ("", true),
            (r#"{"stars":["3"]}"#, true),
            (r#"{"stars":["3","6"]}"#, false),
            (r#"{"is-official":["true"]}"#, true),
            (r#"{"is-automated":["true"]}"#, false),
        ] {
            assert_eq!(wanted(text).unwrap().fits(&found), fits, "{text}");
        }
        for bad in [r#"{"stars":["x"]}"#, r#"{"nope":["x"]}"#, r#"{"is-official":["x"]}"#] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
    }
}
