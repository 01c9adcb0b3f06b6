//! A certificate of our own: the origin's side of TLS and a client that trusts it.

use std::sync::Arc;

use kithara_file::origin::{Acceptor, Stream};
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;

/// Both sides of a private TLS.
pub(crate) struct Tls {
    /// For `Builder::tls`.
    pub(crate) acceptor: Acceptor,
    /// Trusts the origin; its protocols are still to be set.
    pub(crate) client: rustls::ClientConfig,
}

/// A fresh certificate for 127.0.0.1; the origin offers `protocols` ("h2", "http/1.1").
pub(crate) fn tls(protocols: &[&str]) -> Tls {
    let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
    let signed = rcgen::generate_simple_self_signed(names).expect("a certificate");
    let certificate = signed.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(signed.signing_key.serialize_der());
    let provider = Arc::new(ring::default_provider());

    let mut server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions that ring knows")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())
        .expect("a key that fits the certificate");
    server.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).expect("a certificate to trust");
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions that ring knows")
        .with_root_certificates(roots)
        .with_no_client_auth();

    let accept = tokio_rustls::TlsAcceptor::from(Arc::new(server));
    let acceptor: Acceptor = Arc::new(move |stream: Stream| {
        let accept = accept.clone();
        Box::pin(async move { Ok(Box::new(accept.accept(stream).await?) as Stream) })
    });
    Tls { acceptor, client }
}
