//! The settings of a driver.

use crate::tls::TlsConfig;
use crate::trace::Tracing;
use core::fmt;
use core::time::Duration;
use portolan_machine::Trace;
#[cfg(feature = "tls")]
use {
    crate::tls,
    alloc::sync::Arc,
    rustls::pki_types::{CertificateDer, PrivateKeyDer},
    rustls::{ClientConfig, RootCertStore, ServerConfig},
};

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
    pub(crate) streams_per_source: usize,
    pub(crate) handshake_limit: usize,
    pub(crate) handshakes_per_source: usize,
    pub(crate) socket_buffers: Option<usize>,
    pub(crate) tls: TlsConfig,
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

    /// The number of streams, lingering ones and TLS handshakes included, at which listeners stop accepting; 1,024 by
    /// default. New peers then wait in the system's queue until a stream ends. Streams that the machine orders itself
    /// count too, but are never refused because of this limit.
    #[must_use]
    pub const fn with_stream_limit(mut self, limit: usize) -> Self {
        self.stream_limit = limit;
        self
    }

    /// The number of accepted streams, lingering ones and TLS handshakes included, that one source may hold; 128 by
    /// default. A source is an IPv4 address or an IPv6 /64 network. A further stream of the source is closed at once
    /// (TCP RST), noted ([`DriverNote::TooManyStreams`](crate::DriverNote::TooManyStreams)) and counted
    /// ([`Counters::too_many_streams`](crate::Counters::too_many_streams)).
    ///
    /// Many users can share one source behind a carrier-grade NAT. A server for them needs a larger share. The share
    /// should stay well below [`with_stream_limit`](Self::with_stream_limit): a source that may hold all streams can shut
    /// out all other sources. It should stay above a limit of the machine's own: the machine can close its least used
    /// stream for a new one only if it hears of the new one.
    #[must_use]
    pub const fn with_streams_per_source(mut self, limit: usize) -> Self {
        self.streams_per_source = limit;
        self
    }

    /// The number of TLS handshakes under way at which TLS listeners stop accepting; 128 by default. New peers then wait
    /// in the system's queue until a handshake ends.
    #[must_use]
    pub const fn with_handshake_limit(mut self, limit: usize) -> Self {
        self.handshake_limit = limit;
        self
    }

    /// The number of TLS handshakes under way that one source may hold; 16 by default. A further stream of the source is
    /// closed at once, as for [`with_streams_per_source`](Self::with_streams_per_source), noted
    /// ([`DriverNote::TooManyHandshakes`](crate::DriverNote::TooManyHandshakes)) and counted
    /// ([`Counters::too_many_handshakes`](crate::Counters::too_many_handshakes)).
    #[must_use]
    pub const fn with_handshakes_per_source(mut self, limit: usize) -> Self {
        self.handshakes_per_source = limit;
        self
    }

    /// The size in bytes of each UDP socket's send and receive buffer in the kernel; the system's own by default. The
    /// system may give less.
    #[must_use]
    pub const fn with_socket_buffers(mut self, bytes: usize) -> Self {
        self.socket_buffers = Some(bytes);
        self
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

/// TLS (feature `tls`).
#[cfg(feature = "tls")]
impl DriverConfig {
    /// The authorities that a TLS client trusts, in place of those of the public web.
    ///
    /// # Errors
    /// [`rustls::Error`], when the TLS library supports none of the default protocol versions.
    pub fn with_tls_roots(self, roots: RootCertStore) -> Result<Self, rustls::Error> {
        Ok(self.with_tls_client(tls::client(roots)?))
    }

    /// The whole configuration of TLS clients, for those who need more than
    /// [`with_tls_roots`](Self::with_tls_roots): a client certificate, ALPN, other protocol versions, a verifier of
    /// their own. The later of both calls counts.
    #[must_use]
    pub fn with_tls_client(mut self, client: Arc<ClientConfig>) -> Self {
        self.tls.set_client(client);
        self
    }

    /// The certificate of a TLS server, the leaf certificate first. Without it a TLS listener is refused as unsupported.
    ///
    /// # Errors
    /// [`rustls::Error`], when the key does not fit the certificate or has a kind that the TLS library does not know.
    pub fn with_tls_certificate(
        self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        Ok(self.with_tls_server(tls::server(chain, key)?))
    }

    /// The whole configuration of TLS servers, for those who need more than
    /// [`with_tls_certificate`](Self::with_tls_certificate): several certificates, client certificates, ALPN. The later
    /// of both calls counts.
    #[must_use]
    pub fn with_tls_server(mut self, server: Arc<ServerConfig>) -> Self {
        self.tls.set_server(server);
        self
    }
}

impl Default for DriverConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            linger: Duration::from_secs(2),
            stream_limit: 1_024,
            streams_per_source: 128,
            handshake_limit: 128,
            handshakes_per_source: 16,
            socket_buffers: None,
            tls: TlsConfig::default(),
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
            .field("streams_per_source", &self.streams_per_source)
            .field("handshake_limit", &self.handshake_limit)
            .field("handshakes_per_source", &self.handshakes_per_source)
            .field("socket_buffers", &self.socket_buffers)
            .field("traced", &self.trace.is_some())
            .finish_non_exhaustive()
    }
}
