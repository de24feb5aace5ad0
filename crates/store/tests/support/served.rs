//! Images as a registry would serve them, piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;
use store::{Arrived, Documents, Error, Intake, Layer, Receiving, Store};
use types::Reference;

use super::sha256;

/// An image as a registry would serve it.
pub struct Served {
    pub documents: Documents,
    pub blobs: Vec<Vec<u8>>,
}

impl Served {
    pub fn new(layers: &[Vec<u8>], press: fn(&[u8]) -> Vec<u8>) -> Self {
        let blobs: Vec<Vec<u8>> = layers.iter().map(|layer| press(layer)).collect();
        let config = super::config(layers);
        let descriptor = |kind: &str, bytes: &[u8]| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": sha256(bytes), "size": bytes.len()});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("config.v1+json", &config),
            "layers": blobs.iter().map(|blob| descriptor("layer.v1.tar+gzip", blob)).collect::<Vec<_>>(),
        });
        let documents = Documents {
            indexes: Vec::new(),
            manifest: serde_json::to_vec_pretty(&manifest).expect("json"),
            manifest_type: "application/vnd.oci.image.manifest.v1+json".into(),
            config,
        };
        Self { documents, blobs }
    }

    pub fn blob(&self, layer: &Layer) -> &[u8] {
        self.blobs.iter().find(|blob| sha256(blob) == layer.blob.to_string()).expect("blob")
    }

    /// Takes in what is missing, layer by layer.
    pub fn pull(&self, store: &Store, name: &str) -> Result<Arc<store::Image>, Error> {
        let intake = store.intake(self.documents.clone())?;
        let arrived = self.receive_all(store, &intake)?;
        intake.commit(&arrived, Some(&reference(name)))
    }

    pub fn receive_all(&self, store: &Store, intake: &Intake) -> Result<Vec<Arc<Arrived>>, Error> {
        let missing = intake.layers().iter().filter(|layer| !intake.has(layer));
        missing.map(|layer| Ok(Arc::new(send(store.receive(layer)?, self.blob(layer))?))).collect()
    }
}

pub fn reference(name: &str) -> Reference {
    name.parse().expect("reference")
}

/// Sends what is missing of the blob, in small pieces.
pub fn send(receiving: Receiving, blob: &[u8]) -> Result<Arrived, Error> {
    let mut pieces = blob[usize::try_from(receiving.have()).expect("length")..].chunks(1000);
    receiving.run(&mut || Ok(pieces.next().map(Bytes::copy_from_slice)), &|_| true)
}

/// What `next` says when the connection broke.
#[derive(Debug)]
pub enum Broken {
    Connection,
    Store(Error),
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Sends pieces up to `end`, then the connection breaks.
pub fn send_until(receiving: Receiving, blob: &[u8], end: usize) -> Broken {
    let mut pieces = blob[usize::try_from(receiving.have()).expect("length")..end].chunks(700);
    let next = &mut || match pieces.next() {
        Some(piece) => Ok(Some(Bytes::copy_from_slice(piece))),
        None => Err(Broken::Connection),
    };
    let broken = receiving.run(next, &|_| true).err().expect("it broke");
    if let Broken::Store(error) = &broken {
        panic!("{error}");
    }
    broken
}
