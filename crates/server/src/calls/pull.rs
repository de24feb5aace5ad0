//! Pulling: `POST /images/create` with `fromImage`.

use engine::{Platform, Pull};
use hyper::Response;

use super::Context;
use super::images::with_tag;
use super::registries::identity;
use super::relay::relay;
use crate::error::{Error, Result};
use crate::wire::answer::Answer;

/// Pulls `image`.
pub(super) async fn pull(context: Context, image: &str) -> Result<Response<Answer>> {
    let (engine, pull) = (context.engine.clone(), request(&context, image)?);
    relay(move |teller| async move { engine.image_pull(pull, move |progress| teller.tell(progress)).await })
        .await
}

fn request(context: &Context, image: &str) -> Result<Pull> {
    let query = &context.query;
    let platform = query.text("platform").map(str::parse::<Platform>).transpose();
    Ok(Pull {
        reference: with_tag(image, query.text("tag")),
        all_tags: query.text("tag").is_none() && !names_one(image),
        platform: platform.map_err(|e| Error::invalid(e.to_string()))?,
        credentials: identity(context.request.headers()),
    })
}

/// Whether the name says which image of its repository: without a tag, all are meant.
fn names_one(image: &str) -> bool {
    image.contains('@') || image.rsplit('/').next().is_some_and(|last| last.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::names_one;

    #[test]
    fn a_name_without_a_tag_means_all() {
        for (name, one) in
            [("a", false), ("a:1", true), ("h:5000/a", false), ("h:5000/a:1", true), ("a@sha256:00", true)]
        {
            assert_eq!(names_one(name), one, "{name}");
        }
    }
}
