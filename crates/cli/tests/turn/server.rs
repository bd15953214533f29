//! A server that a trial starts.

use crate::binary::portolan;
use crate::process::Process;
use core::net::SocketAddr;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU8, Ordering};
use core::time::Duration;
use std::path::PathBuf;

/// The maximum time of one step, on a busy machine too.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// The realm of all servers.
pub(crate) const REALM: &str = "example.org";

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
        let all = [&fixed[..], arguments].concat();
        let mut process = Process::start(portolan(&all).expect("loopback")).expect("the binary starts");
        let before = process.wait_for("relaying for", TIMEOUT)?;
        let line = process.wait_for("(udp, tcp)", TIMEOUT)?;
        let address = line.split_whitespace().nth(2).and_then(|word| word.parse().ok()).expect("an address");
        Ok(Self { process, address, before })
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
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = 10 + std::process::id() % 200;
    format!("127.{process}.{}.1", NEXT.fetch_add(1, Ordering::Relaxed))
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
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
