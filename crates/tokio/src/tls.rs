//! TLS over TCP with `rustls`: the settings, both handshakes, and the reasons for a failed handshake.
//!
//! Without the crate's feature `tls` the file `tls/absent.rs` replaces this file. It has the same types without values,
//! and every order for TLS is refused as unsupported.

use crate::errors;
use crate::sockets::stream::Transport;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use portolan_machine::{Refusal, TlsFailure};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, Error, RootCertStore, ServerConfig};
use std::io::{self, ErrorKind};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// The TLS settings of a driver.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsConfig {
    client: Option<TlsClient>,
    server: Option<TlsServer>,
}

impl TlsConfig {
    pub(crate) fn set_client(&mut self, client: Arc<ClientConfig>) {
        self.client = Some(TlsClient(client));
    }

    pub(crate) fn set_server(&mut self, server: Arc<ServerConfig>) {
        self.server = Some(TlsServer(server));
    }

    /// Returns the client that was set, else one that trusts the authorities of the public web.
    pub(crate) fn client(&mut self) -> Option<TlsClient> {
        if self.client.is_none() {
            let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
            self.client = client(roots).ok().map(TlsClient);
        }
        self.client.clone()
    }

    /// Returns the server that was set. There is no default: a server needs a certificate.
    pub(crate) fn server(&self) -> Option<TlsServer> {
        self.server.clone()
    }
}

/// Connects streams with TLS.
#[derive(Clone, Debug)]
pub(crate) struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// Does the client's part of the handshake. The peer's certificate must be valid for `name`, or without a `name`
    /// for the IP address of `remote`.
    pub(crate) async fn connect(
        self,
        tcp: TcpStream,
        name: Option<Arc<str>>,
        remote: SocketAddr,
    ) -> Result<Box<dyn Transport>, Refusal> {
        let name = match name {
            Some(name) => ServerName::try_from(String::from(&*name)).ok(),
            None => Some(ServerName::from(remote.ip())),
        };
        let name = name.ok_or(Refusal::TlsHandshake(TlsFailure::Name))?;
        match TlsConnector::from(self.0).connect(name, tcp).await {
            Ok(tls) => Ok(Box::new(tls)),
            Err(error) => Err(failure(&error).map_or_else(|| errors::refusal(&error), Refusal::TlsHandshake)),
        }
    }
}

/// Accepts streams with TLS.
#[derive(Clone, Debug)]
pub(crate) struct TlsServer(Arc<ServerConfig>);

impl TlsServer {
    /// Does the server's part of the handshake.
    pub(crate) async fn accept(self, tcp: TcpStream) -> Result<Box<dyn Transport>, TlsFailure> {
        match TlsAcceptor::from(self.0).accept(tcp).await {
            Ok(tls) => Ok(Box::new(tls)),
            Err(error) => Err(failure(&error).unwrap_or(TlsFailure::Unspecified)),
        }
    }
}

/// Returns a client that trusts `roots`.
pub(crate) fn client(roots: RootCertStore) -> Result<Arc<ClientConfig>, Error> {
    let client = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(client))
}

/// Returns a server that has this certificate and requests no client certificate.
pub(crate) fn server(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, Error> {
    let server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(server))
}

/// The crypto provider. It is passed explicitly, so that the program need not install a process-wide default.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Returns the reason for a failed handshake. `None` if the TCP connection failed for a reason of the system.
fn failure(error: &io::Error) -> Option<TlsFailure> {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match (tls, error.kind()) {
        (Some(tls), _) => Some(failure_of(tls)),
        // The peer closed the connection during the handshake. If it had unread bytes, its system sent a RST.
        (None, ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
            Some(TlsFailure::Closed)
        }
        (None, _) => None,
    }
}

fn failure_of(error: &Error) -> TlsFailure {
    match error {
        Error::InvalidCertificate(why) => failure_of_certificate(why),
        Error::NoCertificatesPresented | Error::InvalidCertRevocationList(_) => TlsFailure::Certificate,
        Error::UnsupportedNameType => TlsFailure::Name,
        Error::AlertReceived(alert) => failure_of_alert(*alert),
        // The peers have no version or cipher in common, or the bytes are not a TLS handshake (RFC 8446 §4).
        Error::PeerIncompatible(_)
        | Error::PeerMisbehaved(_)
        | Error::NoApplicationProtocol
        | Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerSentOversizedRecord
        | Error::DecryptError => TlsFailure::Protocol,
        // Errors that the peer has not caused: the system's clock or RNG, or the owner's settings.
        Error::InvalidEncryptedClientHello(_)
        | Error::EncryptError
        | Error::General(_)
        | Error::FailedToGetCurrentTime
        | Error::FailedToGetRandomBytes
        | Error::HandshakeNotComplete
        | Error::BadMaxFragmentSize
        | Error::InconsistentKeys(_)
        | Error::Other(_)
        | _ => TlsFailure::Unspecified,
    }
}

fn failure_of_certificate(why: &CertificateError) -> TlsFailure {
    if matches!(why, CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) {
        TlsFailure::Name
    } else {
        TlsFailure::Certificate
    }
}

/// Returns the failure for an alert of the peer.
///
/// Three alerts mean that the peers have no version or cipher in common (RFC 8446 §6.2). The side that detects this
/// sends the alert. So both sides return the same reason.
fn failure_of_alert(alert: AlertDescription) -> TlsFailure {
    let no_common =
        [AlertDescription::ProtocolVersion, AlertDescription::HandshakeFailure, AlertDescription::InsufficientSecurity];
    if no_common.contains(&alert) { TlsFailure::Protocol } else { TlsFailure::Alert }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{InvalidMessage, PeerIncompatible};

    fn of_tls(error: Error) -> Option<TlsFailure> {
        failure(&io::Error::new(ErrorKind::InvalidData, error))
    }

    #[test]
    fn errors_of_rustls_become_failures() {
        let of_certificate = |why| of_tls(Error::InvalidCertificate(why));
        for why in [
            CertificateError::UnknownIssuer,
            CertificateError::Expired,
            CertificateError::NotValidYet,
            CertificateError::Revoked,
            CertificateError::BadSignature,
            CertificateError::BadEncoding,
            CertificateError::InvalidPurpose,
        ] {
            assert_eq!(of_certificate(why.clone()), Some(TlsFailure::Certificate), "{why:?}");
        }
        assert_eq!(of_certificate(CertificateError::NotValidForName), Some(TlsFailure::Name));
        assert_eq!(of_tls(Error::UnsupportedNameType), Some(TlsFailure::Name));
        for (alert, expected) in [
            (AlertDescription::ProtocolVersion, TlsFailure::Protocol),
            (AlertDescription::HandshakeFailure, TlsFailure::Protocol),
            (AlertDescription::InsufficientSecurity, TlsFailure::Protocol),
            (AlertDescription::UnknownCA, TlsFailure::Alert),
            (AlertDescription::BadCertificate, TlsFailure::Alert),
            (AlertDescription::UnrecognisedName, TlsFailure::Alert),
            (AlertDescription::InternalError, TlsFailure::Alert),
            (AlertDescription::Unknown(99), TlsFailure::Alert),
        ] {
            assert_eq!(of_tls(Error::AlertReceived(alert)), Some(expected), "{alert:?}");
        }
        for error in [
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Error::PeerSentOversizedRecord,
        ] {
            assert_eq!(of_tls(error.clone()), Some(TlsFailure::Protocol), "{error:?}");
        }
        assert_eq!(of_tls(Error::FailedToGetCurrentTime), Some(TlsFailure::Unspecified));
    }

    #[test]
    fn errors_of_the_connection_become_failures_only_where_the_peer_closed() {
        for kind in [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe] {
            assert_eq!(failure(&kind.into()), Some(TlsFailure::Closed), "{kind}");
        }
        for kind in [ErrorKind::TimedOut, ErrorKind::HostUnreachable, ErrorKind::OutOfMemory] {
            assert_eq!(failure(&kind.into()), None, "{kind}");
        }
    }
}
