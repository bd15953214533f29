//! A server that a trial starts.

use crate::binary::portolan;
use crate::process::Process;
use core::net::SocketAddr;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU16, Ordering};
use core::time::Duration;
use std::path::PathBuf;

/// The maximum time of one step, on a busy machine too.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// The realm of all servers.
pub(crate) const REALM: &str = "example.org";

/// The first and the last relay port. They are above the ephemeral ports of Linux, so that no socket on all addresses has
/// one of them: `net.ipv4.ip_local_port_range` is 32768 to 60999 by default.
pub(crate) const RELAY_PORTS: (u16, u16) = (61_000, 65_535);

/// A running server.
pub(crate) struct TurnServer {
    process: Process,
    /// The address for UDP and TCP.
    pub(crate) address: SocketAddr,
    /// The lines before the address.
    pub(crate) before: String,
}

impl TurnServer {
    /// Starts a server on an own loopback address, with these arguments. Peers on loopback are allowed.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        // The port of the system's choice for UDP can be in use for TCP, so the start is repeated.
        for _ in 0..10 {
            if let Ok(server) = Self::start_on(&format!("{}:0", own_address()), arguments) {
                return server;
            }
        }
        panic!("the server does not start");
    }

    /// Starts a server on this address.
    pub(crate) fn start_on(listen: &str, arguments: &[&str]) -> Result<Self, std::io::Error> {
        let fixed = ["serve", "--turn", "--realm", REALM, "--listen", listen, "--allow-peer", "127.0.0.0/8"];
        let ports = format!("{}-{}", RELAY_PORTS.0, RELAY_PORTS.1);
        let all = [&fixed[..], &["--relay-ports", &ports], arguments].concat();
        let mut process = Process::start(portolan(&all).expect("loopback")).expect("the binary starts");
        let before = process.wait_for("relaying for", TIMEOUT)?;
        let line = process.wait_for("(udp, tcp)", TIMEOUT)?;
        let address = line.split_whitespace().nth(2).and_then(|word| word.parse().ok()).expect("an address");
        Ok(Self { process, address, before })
    }

    /// Waits for the line of the TLS listener, and returns its address.
    #[cfg(feature = "tls")]
    pub(crate) fn tls_address(&mut self) -> SocketAddr {
        let line = self.process.wait_for("(tls)", TIMEOUT).expect("a line");
        line.split_whitespace().nth(2).and_then(|word| word.parse().ok()).expect("an address")
    }

    /// Waits until the process has ended, and returns its result.
    pub(crate) fn finish(self) -> crate::process::Finished {
        self.process.finish(TIMEOUT * 10).expect("the process ends")
    }
}

impl Deref for TurnServer {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for TurnServer {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Returns a loopback address that no other trial of this process has, and another process hardly.
pub(crate) fn own_address() -> String {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let (process, next) = (10 + std::process::id() % 200, NEXT.fetch_add(1, Ordering::Relaxed));
    format!("127.{process}.{}.{}", next / 254 % 256, 1 + next % 254)
}

/// A file of a trial, readable by its owner only; removed at the end.
pub(crate) struct PrivateFile(pub(crate) PathBuf);

impl PrivateFile {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("portolan-turn-{}-{name}", std::process::id())));
        // Does not exist from an earlier process with the same id.
        let _ = std::fs::remove_file(&file.0);
        file.write(text);
        file
    }

    pub(crate) fn write(&self, text: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::write(&self.0, text).expect("a file");
        std::fs::set_permissions(&self.0, std::fs::Permissions::from_mode(0o600)).expect("the file exists");
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("a path of text")
    }

    #[cfg(feature = "tls")]
    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.0).expect("the file exists")
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A new certificate with its key, in two files.
#[cfg(feature = "tls")]
pub(crate) struct KeyPair {
    pub(crate) cert: PrivateFile,
    pub(crate) key: PrivateFile,
}

#[cfg(feature = "tls")]
impl KeyPair {
    /// Makes a certificate for a host name or an IP address. `trial` is part of the names of the files.
    pub(crate) fn new(trial: &str, host: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).expect("a certificate");
        let cert = PrivateFile::new(&format!("{trial}-cert.pem"), &made.cert.pem());
        Self { cert, key: PrivateFile::new(&format!("{trial}-key.pem"), &made.signing_key.serialize_pem()) }
    }
}
