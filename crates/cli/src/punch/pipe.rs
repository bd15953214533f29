//! The pipe: QUIC on the socket of a path.
//!
//! Both hosts have the key of the session, and derive one Ed25519 key pair from it. In the handshake each host shows that it
//! has this key, as a raw public key (RFC 7250), and accepts no other one. TLS 1.3 agrees on fresh keys for the data.
//!
//! The first host of the room is the client. It opens one stream and sends one byte on it, so that the other host sees the
//! stream at once. Then both hosts copy their input to the stream, and the stream to their output.

use crate::error::CommandError;
use crate::exit::Exit;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{Connection, Endpoint, EndpointConfig, IdleTimeout, RecvStream, SendStream, TransportConfig, VarInt};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::AlwaysResolvesServerRawPublicKeys;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, ServerConfig, SignatureScheme,
};
use std::ffi::OsString;
use std::io;
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

/// The ends of a pipe.
#[derive(Debug)]
pub(super) struct Ends {
    /// The socket of the path.
    pub(super) socket: std::net::UdpSocket,
    /// The address of the other host.
    pub(super) remote: SocketAddr,
    /// Whether this host is the QUIC client.
    pub(super) is_client: bool,
    /// The key of both hosts.
    pub(super) key: [u8; 20],
}

/// Why the data was not exchanged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PipeError {
    #[error("the other host did not answer on the path within {} s; run both hosts in the same mode (pipe, --datagrams or --hold)", HANDSHAKE.as_secs())]
    NoHandshake,
    #[error("the connection was lost: {0}; run the command again on both hosts")]
    Lost(quinn::ConnectionError),
    #[error("the keys of the connection cannot be made: {0}; use --datagrams")]
    Keys(Error),
    #[error("QUIC cannot run on the socket: {0}; use --datagrams")]
    Socket(io::Error),
    #[error("the command {0:?} cannot be started: {1}; check its name after --")]
    Command(OsString, io::Error),
    #[error("standard input or output failed: {0}; check the file, the pipe or the disk")]
    Copy(io::Error),
}

impl CommandError for PipeError {
    fn exit(&self) -> Exit {
        match self {
            Self::NoHandshake | Self::Lost(_) => Exit::Negative,
            Self::Keys(_) | Self::Socket(_) | Self::Command(..) | Self::Copy(_) => Exit::CouldNotRun,
        }
    }
}

/// The longest handshake.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// The time without packets after which the connection is lost.
const IDLE: u32 = 30_000;
/// Keeps the mappings of the NATs alive.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The first byte of the stream: the version of the pipe.
const VERSION: u8 = 1;
/// The name in the handshake. The key decides, not the name.
const NAME: &str = "portolan.invalid";

/// Runs the pipe until both directions have ended.
pub(super) async fn run(ends: Ends, command: &[OsString]) -> Result<(), PipeError> {
    let Ends { socket, remote, is_client, key } = ends;
    let keys = Keys::new(&key).map_err(PipeError::Keys)?;
    let mut transport = TransportConfig::default();
    transport.keep_alive_interval(Some(KEEPALIVE)).max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE))));
    let transport = Arc::new(transport);
    let server = (!is_client).then(|| keys.server(Arc::clone(&transport))).transpose().map_err(PipeError::Keys)?;
    let runtime = Arc::new(quinn::TokioRuntime);
    let endpoint = Endpoint::new(EndpointConfig::default(), server, socket, runtime).map_err(PipeError::Socket)?;
    let connected = async {
        if is_client {
            let config = keys.client(transport).map_err(PipeError::Keys)?;
            let connecting =
                endpoint.connect_with(config, remote, NAME).map_err(|why| PipeError::Socket(io::Error::other(why)))?;
            let connection = connecting.await.map_err(PipeError::Lost)?;
            let (mut send, receive) = connection.open_bi().await.map_err(PipeError::Lost)?;
            send.write_all(&[VERSION]).await.map_err(|why| PipeError::Copy(why.into()))?;
            Ok((connection, send, receive))
        } else {
            // Only a host with the key completes the handshake. Others are refused, and the wait goes on.
            loop {
                let Some(incoming) = endpoint.accept().await else { return Err(PipeError::NoHandshake) };
                let Ok(connection) = incoming.await else { continue };
                let (send, mut receive) = connection.accept_bi().await.map_err(PipeError::Lost)?;
                let mut version = [0];
                receive.read_exact(&mut version).await.map_err(|why| PipeError::Copy(io::Error::other(why)))?;
                return Ok((connection, send, receive));
            }
        }
    };
    let (connection, send, receive) = timeout(HANDSHAKE, connected).await.map_err(|_| PipeError::NoHandshake)??;
    let copied = match command.split_first() {
        None => copy(&connection, send, receive, tokio::io::stdin(), tokio::io::stdout()).await,
        Some((program, arguments)) => {
            let mut child = Command::new(program);
            child.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            let mut child = child.spawn().map_err(|why| PipeError::Command(program.clone(), why))?;
            match (child.stdout.take(), child.stdin.take()) {
                (Some(from), Some(to)) => copy(&connection, send, receive, from, to).await,
                _ => Ok(()),
            }
        }
    };
    connection.close(VarInt::from_u32(0), b"");
    // The close reaches the other host, or it notices the end of both streams.
    let _is_idle = timeout(Duration::from_secs(1), endpoint.wait_idle()).await;
    copied
}

/// Copies both directions until both have ended.
async fn copy(
    connection: &Connection,
    mut send: SendStream,
    mut receive: RecvStream,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> Result<(), PipeError> {
    let why = |error: io::Error| connection.close_reason().map_or(PipeError::Copy(error), PipeError::Lost);
    let outgoing = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = from.read(&mut buffer).await.map_err(PipeError::Copy)?;
            if count == 0 {
                break;
            }
            let Some(part) = buffer.get(..count) else { break };
            if send.write_all(part).await.is_err() {
                // The other host reads no more, as a closed pipe.
                break;
            }
        }
        let _finished = send.finish();
        // All bytes are acknowledged, or the other host reads no more.
        let _stopped = send.stopped().await;
        Ok::<(), PipeError>(())
    };
    let incoming = async move {
        let mut buffer = vec![0; 64 * 1024];
        while let Some(count) = receive.read(&mut buffer).await.map_err(|error| why(error.into()))? {
            let Some(part) = buffer.get(..count) else { break };
            let written = async {
                to.write_all(part).await?;
                to.flush().await
            };
            if written.await.is_err() {
                // The reader of the output is gone.
                let _stopped = receive.stop(VarInt::from_u32(0));
                break;
            }
        }
        // The command sees the end of its input: a pipe is closed when it is dropped.
        let _flushed = to.shutdown().await;
        drop(to);
        Ok(())
    };
    match tokio::try_join!(outgoing, incoming) {
        // The other host has everything, has ended too, and closed the connection first.
        Err(PipeError::Lost(quinn::ConnectionError::ApplicationClosed(_))) => Ok(()),
        result => result.map(|_| ()),
    }
}

/// The key pair of both hosts.
struct Keys {
    key: Arc<CertifiedKey>,
    verifier: Arc<SameKey>,
    provider: Arc<CryptoProvider>,
}

impl Keys {
    fn new(secret: &[u8; 20]) -> Result<Self, Error> {
        // A private key in PKCS #8 (RFC 8410 §7): the prefix, and 32 bytes.
        const PREFIX: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let mut der = [0; 48];
        let (prefix, rest) = der.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(&PREFIX);
        rest.iter_mut().zip(secret).for_each(|(byte, known)| *byte = *known);
        let provider = Arc::new(ring::default_provider());
        let signing = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(&der[..]))?;
        let public = signing.public_key().ok_or_else(|| Error::General("no public key".into()))?.to_vec();
        let key = Arc::new(CertifiedKey::new(vec![CertificateDer::from(public.clone())], signing));
        let verifier = Arc::new(SameKey { public, provider: Arc::clone(&provider) });
        Ok(Self { key, verifier, provider })
    }

    fn client(&self, transport: Arc<TransportConfig>) -> Result<quinn::ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let config = builder
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.verifier) as Arc<dyn ServerCertVerifier>)
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(Arc::clone(&self.key))));
        let config = QuicClientConfig::try_from(config).map_err(|why| Error::General(why.to_string()))?;
        let mut config = quinn::ClientConfig::new(Arc::new(config));
        config.transport_config(transport);
        Ok(config)
    }

    fn server(&self, transport: Arc<TransportConfig>) -> Result<quinn::ServerConfig, Error> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider));
        let config = builder
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::clone(&self.verifier) as Arc<dyn ClientCertVerifier>)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(Arc::clone(&self.key))));
        let config = QuicServerConfig::try_from(config).map_err(|why| Error::General(why.to_string()))?;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(config));
        config.transport_config(transport);
        Ok(config)
    }
}

/// Accepts only the own public key.
#[derive(Debug)]
struct SameKey {
    public: Vec<u8>,
    provider: Arc<CryptoProvider>,
}

impl SameKey {
    fn check(&self, shown: &CertificateDer<'_>) -> Result<(), Error> {
        if shown.as_ref() == self.public { Ok(()) } else { Err(CertificateError::UnknownIssuer.into()) }
    }

    fn signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let public = SubjectPublicKeyInfoDer::from(shown.as_ref());
        verify_tls13_signature_with_raw_key(message, &public, signed, &self.provider.signature_verification_algorithms)
    }
}

impl ServerCertVerifier for SameKey {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for SameKey {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
