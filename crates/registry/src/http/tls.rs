//! Whom we take for whom they say they are, and what we show of ourselves.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Files and words that say what trust a registry gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// PEM files of authorities that are trusted besides the system's.
    pub(crate) authorities: Vec<PathBuf>,
    /// Our certificate and its key, as PEM files.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
    /// Take anybody.
    pub(crate) skip_verify: bool,
}

/// Trust, ready for use.
#[derive(Clone)]
pub(crate) struct Tls {
    /// Connections are shared only under the same.
    pub(crate) id: u64,
    pub(crate) config: Arc<ClientConfig>,
    /// The same without our certificate: for hosts that a registry sends us on to.
    stranger: Option<Arc<Tls>>,
}

impl Tls {
    /// Reads the files.
    pub(crate) fn load(trust: &Trust) -> Result<Self, String> {
        let roots = roots(&trust.authorities)?;
        let client = trust.client.as_ref().map(|(cert, key)| read_client(cert, key)).transpose()?;
        let stranger = match client {
            Some(_) => Some(Arc::new(Self::new(Arc::clone(&roots), None, trust.skip_verify)?)),
            None => None,
        };
        Ok(Self { stranger, ..Self::new(roots, client, trust.skip_verify)? })
    }

    /// What a host gets that is not the registry itself.
    pub(crate) fn for_stranger(&self) -> &Self {
        self.stranger.as_deref().unwrap_or(self)
    }

    fn new(roots: Arc<RootCertStore>, client: Option<Client>, skip_verify: bool) -> Result<Self, String> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?;
        let builder = if skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider())))
        } else {
            builder.with_root_certificates(roots)
        };
        let mut config = match client {
            Some((certs, key)) => builder
                .with_client_auth_cert(certs, key)
                .map_err(|e| format!("the client certificate cannot be used: {e}"))?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Ok(Self { id, config: Arc::new(config), stranger: None })
    }
}

type Client = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider())))
}

/// The system's authorities, read once, and these.
fn roots(more: &[PathBuf]) -> Result<Arc<RootCertStore>, String> {
    static SYSTEM: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let system = SYSTEM.get_or_init(|| {
        let mut store = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!("the system's certificates: {error}");
        }
        store.add_parsable_certificates(found.certs);
        Arc::new(store)
    });
    if more.is_empty() {
        return Ok(Arc::clone(system));
    }
    let mut store = RootCertStore::clone(system);
    for file in more {
        for certificate in read_certificates(file)? {
            let bad = |e| format!("{} holds a certificate that cannot be used: {e}", file.display());
            store.add(certificate).map_err(bad)?;
        }
    }
    Ok(Arc::new(store))
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|e| format!("cannot read {}: {e}", file.display()))
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let list: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(file)?).collect();
    let list = list.map_err(|e| format!("{} is not a PEM file: {e}", file.display()))?;
    if list.is_empty() { Err(format!("{} holds no certificate", file.display())) } else { Ok(list) }
}

fn read_client(certificate: &Path, key: &Path) -> Result<Client, String> {
    let bad = |e| format!("{} holds no private key: {e}", key.display());
    Ok((read_certificates(certificate)?, PrivateKeyDer::from_pem_slice(&read(key)?).map_err(bad)?))
}

/// The verifier for registries that are declared insecure: everybody is who they say.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
