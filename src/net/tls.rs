//! One TLS configuration for all lanes.
//!
//! Certificates are judged by the platform. Where it has none at all (a bare container), a client would
//! not even be built for `http`; then the bundled roots of Mozilla stand in. No process-wide crypto
//! provider is installed for this.

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, ring};

use crate::sync::Arc;

/// The configuration that the lanes share, and with it the store of TLS sessions: a second lane
/// resumes what the first one began.
pub(crate) fn config() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let platform = rustls_platform_verifier::Verifier::new(provider.clone());
    with_verifier(provider, platform.map(|verifier| Arc::new(verifier) as _))
}

/// As [`config`], given what the platform said.
fn with_verifier(
    provider: Arc<CryptoProvider>,
    platform: Result<Arc<dyn ServerCertVerifier>, rustls::Error>,
) -> Result<ClientConfig, rustls::Error> {
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = match platform {
        Ok(verifier) => {
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
        Err(error) => {
            tracing::warn!(%error, "no certificates from the system; using the bundled roots");
            let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<RootCertStore>();
            builder.with_root_certificates(roots).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Makes sure that a builder from a user's factory finds a crypto provider: without one it would
/// panic or fail, as this crate turns on none by default. One that is there already is left alone.
pub(crate) fn install_provider_if_none() {
    if CryptoProvider::get_default().is_none() {
        // Fails only if somebody else was faster; then theirs serves as well.
        let _ = ring::default_provider().install_default();
    }
}

/// Whether `error` (or what it came from) says that the system has no certificates.
pub(crate) fn lacks_system_certificates(error: &(dyn std::error::Error + 'static)) -> bool {
    rustls_error(error).is_some_and(|error| match error {
        rustls::Error::General(text) => text.contains("No CA certificates"),
        _ => false,
    })
}

/// Whether `error` says that the server's certificate was not accepted; repeating won't help then.
pub(crate) fn certificate_refused<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a rustls::Error> {
    rustls_error(error).filter(|error| {
        matches!(
            error,
            rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
        )
    })
}

/// The TLS error in a chain of errors. `io::Error` does not show its inner error as its source.
fn rustls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// N11: a machine without certificates still gets a client, also for plain `http`.
    #[test]
    fn n11_without_system_certificates_the_bundled_roots_serve() {
        let none = Err(rustls::Error::General("No CA certificates were loaded".into()));
        let config = with_verifier(Arc::new(ring::default_provider()), none).unwrap();
        assert_eq!(config.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
        assert!(reqwest::Client::builder().tls_backend_preconfigured(config).build().is_ok());
    }

    #[test]
    fn n11_tls_errors_are_found_inside_of_others() {
        let tls = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let outer = std::io::Error::other(std::io::Error::other(tls()));
        assert_eq!(certificate_refused(&outer), Some(&tls()));
        assert!(!lacks_system_certificates(&outer));
        let none = rustls::Error::General("No CA certificates were loaded from the system".into());
        assert!(lacks_system_certificates(&std::io::Error::other(none)));
        assert!(certificate_refused(&std::io::Error::other("x")).is_none());
    }
}
