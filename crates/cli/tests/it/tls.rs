//! `portolan stun` over TLS, against a server on loopback with a new certificate for each test.

use crate::{Finished, assert_refused, run};
use alloc::sync::Arc;
use portolan_tokio::rustls::crypto::ring;
use portolan_tokio::rustls::pki_types::PrivatePkcs8KeyDer;
use portolan_tokio::rustls::{ServerConfig, ServerConnection, Stream};
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;

/// A TLS server with a certificate for 127.0.0.1. The file of the certificate is deleted on drop.
struct TlsServer {
    file: PathBuf,
    server: Arc<ServerConfig>,
}

impl TlsServer {
    fn new(test: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        let file = std::env::temp_dir().join(format!("portolan-{test}-{}.pem", std::process::id()));
        std::fs::write(&file, made.cert.pem()).expect("a new file");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("the key fits");
        Self { file, server: Arc::new(server) }
    }

    fn path(&self) -> String {
        self.file.display().to_string()
    }

    /// Runs the command against a server that answers one Binding request with 192.0.2.1:32853.
    fn run_client(&self, arguments: &[&str]) -> Finished {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address").to_string();
        let server = Arc::clone(&self.server);
        let answering = thread::spawn(move || {
            let (mut tcp, _) = listener.accept().expect("a client connects");
            let mut tls = ServerConnection::new(server).expect("a connection");
            let mut stream = Stream::new(&mut tls, &mut tcp);
            let mut request = [0; 20];
            // A client that does not trust the certificate closes the connection before its request.
            if stream.read_exact(&mut request).is_ok() {
                let value = [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43];
                let answer = [&[1, 1, 0, 12], &request[4..], &value].concat();
                stream.write_all(&answer).expect("the client reads");
                stream.flush().expect("the client reads");
            }
        });
        let finished = run(&[&["stun", &address], arguments].concat());
        answering.join().expect("the server ends");
        finished
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}

#[test]
fn a_certificate_of_the_ca_file_is_trusted() {
    let server = TlsServer::new("own");
    let finished = server.run_client(&["--tls", "--ca-file", &server.path(), "--format", "json"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    let report: serde_json::Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!((&report["outcome"], &report["transport"]), (&"answered".into(), &"tls".into()), "{report}");
    assert_eq!(report["mapped"], "192.0.2.1:32853", "{report}");
}

#[test]
fn an_untrusted_certificate_is_refused() {
    let server = TlsServer::new("unknown");
    let words = ["cannot be reached over tls", "the certificate is invalid"];
    assert_refused(&server.run_client(&["--tls"]), &words);
    let other = TlsServer::new("other");
    assert_refused(&server.run_client(&["--tls", "--ca-file", &other.path()]), &words);
}

#[test]
fn an_invalid_ca_file_is_refused_before_any_request() {
    let run_stun = |arguments: &[&str]| run(&[&["stun", "127.0.0.1:9"], arguments].concat());
    assert_refused(&run_stun(&["--tls", "--ca-file", "/nowhere/at/all"]), &["/nowhere/at/all", "PEM"]);
    let empty = std::env::temp_dir().join(format!("portolan-empty-{}.pem", std::process::id()));
    std::fs::write(&empty, "what is this?\n").expect("a new file");
    let finished = run_stun(&["--tls", "--ca-file", &empty.display().to_string()]);
    std::fs::remove_file(&empty).expect("the file exists");
    assert_refused(&finished, &["no certificate", "BEGIN CERTIFICATE"]);
    assert_refused(&run_stun(&["--ca-file", "/nowhere/at/all"]), &["add --tls"]);
}
