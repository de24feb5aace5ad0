//! How images came about.

use dockerapi::HistoryItem;
use oci::image::platform::Preference;
use store::Image;

use crate::Result;
use crate::engine::Engine;

impl Engine {
    /// How an image came about, newest step first.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn image_history(&self, name: &str, platform: Option<&str>) -> Result<Vec<HistoryItem>> {
        Ok(history(&*self.image_on(name, platform, Preference::only).await?))
    }
}

fn history(image: &Image) -> Vec<HistoryItem> {
    let mut sizes = image.layer_sizes.iter();
    let mut items: Vec<HistoryItem> = image
        .config
        .history
        .iter()
        .map(|step| {
            let size = if step.empty_layer { 0 } else { sizes.next().copied().unwrap_or(0) };
            let created = step.created.as_deref().and_then(|t| t.parse::<jiff::Timestamp>().ok());
            HistoryItem {
                comment: step.comment.clone(),
                created: created.map_or(0, |t| t.as_second()),
                created_by: step.created_by.clone(),
                id: "<missing>".to_owned(),
                size: i64::try_from(size).unwrap_or(i64::MAX),
                tags: Vec::new(),
            }
        })
        .collect();
    if items.is_empty() {
        items.push(HistoryItem {
            size: i64::try_from(image.size).unwrap_or(i64::MAX),
            ..HistoryItem::default()
        });
    }
    items.reverse();
    items[0].id = image.id.to_string();
    items[0].tags = image.repo_tags();
    items
}
