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

/// The settings of a [`Driver`](crate::Driver). The default suits a client on the public internet.
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
    /// Sets the timeout for connecting a stream, its TLS handshake included; 10 s by default. A stream that is too slow
    /// is refused with [`Refusal::TimedOut`](portolan_machine::Refusal::TimedOut). The TLS handshake of an accepted
    /// stream has the same timeout.
    #[must_use]
    pub const fn with_connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets the linger time: the time in which a closed stream can still send its queued bytes; 2 s by default.
    #[must_use]
    pub const fn with_linger(mut self, limit: Duration) -> Self {
        self.linger = limit;
        self
    }

    /// Sets the number of streams at which listeners stop accepting; 1,024 by default. Lingering streams and TLS
    /// handshakes count too.
    ///
    /// At the limit new peers wait in the system's accept queue until a stream ends. Streams that the machine orders
    /// count too, but are never refused because of this limit.
    #[must_use]
    pub const fn with_stream_limit(mut self, limit: usize) -> Self {
        self.stream_limit = limit;
        self
    }

    /// Sets the maximum number of accepted streams of one source; 128 by default. Lingering streams and TLS handshakes
    /// count too. A source is an IPv4 address or an IPv6 /64 network.
    ///
    /// A further stream of the source is closed at once (TCP RST). The driver makes the note
    /// [`DriverNote::TooManyStreams`](crate::DriverNote::TooManyStreams) and increments
    /// [`Counters::too_many_streams`](crate::Counters::too_many_streams).
    ///
    /// How to choose the limit:
    ///
    /// * Many users can share one source behind a carrier-grade NAT. A server for such users needs a larger limit.
    /// * The limit should be well below [`with_stream_limit`](Self::with_stream_limit). Otherwise one source can use
    ///   all streams and exclude all other sources.
    /// * If the machine has its own limit, this limit should be higher. A machine can close its least used stream in
    ///   favour of a new stream only if the driver passes the new stream to the machine.
    #[must_use]
    pub const fn with_streams_per_source(mut self, limit: usize) -> Self {
        self.streams_per_source = limit;
        self
    }

    /// Sets the number of TLS handshakes under way at which TLS listeners stop accepting; 128 by default. At the limit
    /// new peers wait in the system's accept queue until a handshake ends.
    #[must_use]
    pub const fn with_handshake_limit(mut self, limit: usize) -> Self {
        self.handshake_limit = limit;
        self
    }

    /// Sets the maximum number of TLS handshakes under way of one source; 16 by default. A further stream of the source
    /// is closed at once, as for [`with_streams_per_source`](Self::with_streams_per_source). The driver makes the note
    /// [`DriverNote::TooManyHandshakes`](crate::DriverNote::TooManyHandshakes) and increments
    /// [`Counters::too_many_handshakes`](crate::Counters::too_many_handshakes).
    #[must_use]
    pub const fn with_handshakes_per_source(mut self, limit: usize) -> Self {
        self.handshakes_per_source = limit;
        self
    }

    /// Sets the size in bytes of the kernel's send and receive buffer of each UDP socket. The default is the system's.
    /// The system may give less.
    #[must_use]
    pub const fn with_socket_buffers(mut self, bytes: usize) -> Self {
        self.socket_buffers = Some(bytes);
        self
    }

    /// Sets the receiver of the notes, in place of [`Tracing`].
    #[must_use]
    pub fn with_trace(mut self, trace: impl Trace + Send + 'static) -> Self {
        self.trace = Some(Box::new(trace));
        self
    }

    /// Turns notes off. No note is made.
    #[must_use]
    pub fn without_trace(mut self) -> Self {
        self.trace = None;
        self
    }
}

/// TLS (feature `tls`).
#[cfg(feature = "tls")]
impl DriverConfig {
    /// Sets the certificate authorities that TLS clients trust, in place of those of the public web.
    ///
    /// # Errors
    /// [`rustls::Error`] when the crypto provider supports none of the default protocol versions.
    pub fn with_tls_roots(self, roots: RootCertStore) -> Result<Self, rustls::Error> {
        Ok(self.with_tls_client(tls::client(roots)?))
    }

    /// Sets the whole configuration of TLS clients. Use it where [`with_tls_roots`](Self::with_tls_roots) is not
    /// enough: for a client certificate, ALPN, other protocol versions or a custom verifier. The later of both calls
    /// counts.
    #[must_use]
    pub fn with_tls_client(mut self, client: Arc<ClientConfig>) -> Self {
        self.tls.set_client(client);
        self
    }

    /// Sets the certificate chain of TLS listeners, the leaf certificate first. Without a certificate a TLS listener is
    /// refused with [`Refusal::Unsupported`](portolan_machine::Refusal::Unsupported).
    ///
    /// # Errors
    /// [`rustls::Error`] when the chain has no valid leaf certificate, or when the key does not match the certificate.
    /// The same error when the crypto provider does not support the kind of the key or any default protocol version.
    pub fn with_tls_certificate(
        self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        Ok(self.with_tls_server(tls::server(chain, key)?))
    }

    /// Sets the whole configuration of TLS listeners. Use it where [`with_tls_certificate`](Self::with_tls_certificate)
    /// is not enough: for several certificates, client certificates or ALPN. The later of both calls counts.
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
