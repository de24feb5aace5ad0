//! TLS: the certificate as its files are now. They are looked at every so often and at SIGHUP; files that do not fit leave the old
//! certificate in use.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

use crate::error::{Error, Result, chain};

/// The files of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// PEM: the certificate and what is between it and a root.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// PEM: clients must have a certificate that one of these issued.
    pub client_ca: Option<PathBuf>,
}

/// What connections are encrypted with.
pub(crate) struct Tls {
    options: TlsOptions,
    current: RwLock<(Stamps, Arc<ServerConfig>)>,
}

type Stamps = [Option<SystemTime>; 3];

impl Tls {
    pub(crate) fn open(options: TlsOptions) -> Result<Self> {
        let current = (stamps(&options), Arc::new(read(&options)?));
        Ok(Self { options, current: RwLock::new(current) })
    }

    /// For the next connection.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Reads the files again when one has changed.
    pub(crate) fn refresh(&self) {
        let now = stamps(&self.options);
        if self.current.read().unwrap_or_else(PoisonError::into_inner).0 == now {
            return;
        }
        match read(&self.options) {
            Ok(config) => {
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = (now, Arc::new(config));
                tracing::info!("the certificate was read again");
            }
            Err(error) => tracing::warn!(error = chain(&error), "the certificate cannot be read again"),
        }
    }
}

fn stamps(options: &TlsOptions) -> Stamps {
    let stamp = |path: &PathBuf| std::fs::metadata(path).ok()?.modified().ok();
    [stamp(&options.certificate), stamp(&options.key), options.client_ca.as_ref().and_then(stamp)]
}

fn read(options: &TlsOptions) -> Result<ServerConfig> {
    let certificates = certificates(&options.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&options.key)
        .map_err(|e| Error::invalid(format!("cannot read the key {}: {e}", options.key.display())))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let unfit = |e: &dyn std::fmt::Display| Error::invalid(format!("the certificate cannot be used: {e}"));
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| unfit(&e))?;
    let builder = match &options.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = rustls::RootCertStore::empty();
            for root in self::certificates(path)? {
                roots.add(root).map_err(|e| unfit(&e))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|e| unfit(&e))?)
        }
    };
    let mut config = builder.with_single_cert(certificates, key).map_err(|e| unfit(&e))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &PathBuf) -> Result<Vec<CertificateDer<'static>>> {
    let failed =
        |why: String| Error::invalid(format!("cannot read the certificate {}: {why}", path.display()));
    let all: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|e| failed(e.to_string()))?.collect();
    let all = all.map_err(|e| failed(e.to_string()))?;
    if all.is_empty() { Err(failed("there is none in it".to_owned())) } else { Ok(all) }
}
