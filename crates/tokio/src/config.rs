//! What a driver may be told before it begins.

use crate::trace::Tracing;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;
use portolan_machine::Trace;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// The driver's settings; the default suits a client on the public internet.
///
/// ```
/// use core::time::Duration;
/// use portolan_tokio::DriverConfig;
///
/// let config = DriverConfig::default().with_connect_timeout(Duration::from_secs(3)).without_trace();
/// # let _ = config;
/// ```
pub struct DriverConfig {
    pub(crate) connect_timeout: Duration,
    pub(crate) linger: Duration,
    pub(crate) stream_limit: usize,
    pub(crate) socket_buffers: Option<usize>,
    pub(crate) tls_client: Option<Arc<ClientConfig>>,
    pub(crate) tls_server: Option<Arc<ServerConfig>>,
    pub(crate) trace: Option<Box<dyn Trace + Send>>,
}

impl DriverConfig {
    /// How long a stream may take to connect, its TLS handshake included, before it is refused as timed out: 10 s
    /// unless said otherwise. The handshake of an accepted stream has the same time.
    #[must_use]
    pub const fn with_connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long a closed stream may take to send what was queued before: 2 s unless said otherwise.
    #[must_use]
    pub const fn with_linger(mut self, limit: Duration) -> Self {
        self.linger = limit;
        self
    }

    /// How many streams may be open, lingering ones included, before listeners stop accepting: 1,024 unless said
    /// otherwise. Streams that the machine orders itself count, but are never refused for it.
    #[must_use]
    pub const fn with_stream_limit(mut self, limit: usize) -> Self {
        self.stream_limit = limit;
        self
    }

    /// The size in bytes of each UDP socket's send and receive buffer in the kernel; the system's own by default. The
    /// system may give less.
    #[must_use]
    pub const fn with_socket_buffers(mut self, bytes: usize) -> Self {
        self.socket_buffers = Some(bytes);
        self
    }

    /// Whom to trust as a TLS client, in place of the public web's authorities.
    ///
    /// # Errors
    /// When the TLS library supports none of the default protocol versions.
    pub fn with_tls_roots(mut self, roots: RootCertStore) -> Result<Self, rustls::Error> {
        self.tls_client = Some(client(roots)?);
        Ok(self)
    }

    /// What to show as a TLS server, the leaf certificate first. Without it a TLS listener is refused as unsupported.
    ///
    /// # Errors
    /// When the key does not fit the certificate or has a kind that the TLS library does not know.
    pub fn with_tls_certificate(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        self.tls_server = Some(Arc::new(server));
        Ok(self)
    }

    /// Who hears the notes, in place of [`Tracing`].
    #[must_use]
    pub fn with_trace(mut self, trace: impl Trace + Send + 'static) -> Self {
        self.trace = Some(Box::new(trace));
        self
    }

    /// Nobody hears the notes, and none is made.
    #[must_use]
    pub fn without_trace(mut self) -> Self {
        self.trace = None;
        self
    }
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            stream_limit: 1_024,
            socket_buffers: None,
            tls_client: None,
            tls_server: None,
            trace: Some(Box::new(Tracing)),
        }
    }
}

impl fmt::Debug for DriverConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverConfig")
            .field("connect_timeout", &self.connect_timeout)
            .field("linger", &self.linger)
            .field("stream_limit", &self.stream_limit)
            .field("socket_buffers", &self.socket_buffers)
            .field("traced", &self.trace.is_some())
            .finish_non_exhaustive()
    }
}

/// A TLS client that trusts the public web's authorities.
pub(crate) fn web_client() -> Result<Arc<ClientConfig>, rustls::Error> {
    client(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

fn client(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(client))
}

/// Named here, so that no process-wide default has to be installed by the program.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
