//! Mutual TLS between nodes, from PEM files: both sides show a certificate of the operator's own authority.
//! Must not know: sockets, HTTP, what is said.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::config::NodeTlsFiles;

/// Both ends of a connection between nodes.
#[derive(Clone)]
pub(crate) struct NodeTls {
    /// Of the node that listens.
    pub(crate) server: Arc<ServerConfig>,
    /// Of the node that asks.
    pub(crate) client: Arc<ClientConfig>,
}

/// What is wrong with a file: the setting's name and the cause.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {}: {cause}", .path.display())]
pub(crate) struct TlsError {
    setting: &'static str,
    path: Box<Path>,
    cause: String,
}

impl NodeTls {
    /// From the three files.
    pub(crate) fn load(files: &NodeTlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let of_authority = |cause: String| wrong("node_tls_ca", &files.authority, cause);
        let mut roots = RootCertStore::empty();
        for certificate in certificates("node_tls_ca", &files.authority)? {
            roots.add(certificate).map_err(|error| of_authority(error.to_string()))?;
        }
        let roots = Arc::new(roots);
        let chain = certificates("node_tls_cert", &files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key)
            .map_err(|error| wrong("node_tls_key", &files.key, error.to_string()))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()
            .map_err(|error| of_authority(error.to_string()))?;
        let of_pair = |error: rustls::Error| wrong("node_tls_cert", &files.certificate, error.to_string());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])
            .map_err(of_pair)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain.clone(), key.clone_key())
            .map_err(of_pair)?;
        Ok(Self { server: Arc::new(server), client: Arc::new(client(provider, roots, chain, key).map_err(of_pair)?) })
    }
}

fn client(
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, rustls::Error> {
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
}

fn certificates(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |error: rustls::pki_types::pem::Error| wrong(setting, path, error.to_string());
    let found = CertificateDer::pem_file_iter(path).map_err(read)?.collect::<Result<Vec<_>, _>>().map_err(read)?;
    if found.is_empty() {
        let none = io::Error::new(io::ErrorKind::InvalidData, "there is no certificate in it");
        return Err(wrong(setting, path, none.to_string()));
    }
    Ok(found)
}

fn wrong(setting: &'static str, path: &Path, cause: String) -> TlsError {
    TlsError { setting, path: path.into(), cause }
}
