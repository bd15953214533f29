//! A TURN server on loopback for the tests, in a thread of its own.

use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Protocol;
use portolan_stun_agent::{Authenticator, Users};
use portolan_tokio::{Driver, DriverConfig};
use portolan_turn::{Server, ServerConfig, ServerEvent};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// A server with the users alice and bob. It ends on drop.
pub(crate) struct RelayServer {
    /// The address of its first socket.
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A configuration with a UDP socket and relay addresses on loopback.
pub(crate) fn config() -> ServerConfig {
    let mut users = Users::long_term("example.org");
    users.add("alice", "secret of alice").expect("a valid user");
    users.add("bob", "secret of bob").expect("a valid user");
    let credentials = Authenticator::long_term("example.org", &[7; 32], users).expect("a valid realm");
    let credentials = credentials.nonce_lifetime(Duration::from_secs(3600));
    ServerConfig::new(credentials).relay("127.0.0.1".parse().expect("an address"))
}

impl RelayServer {
    /// Starts a server over UDP.
    pub(crate) fn start(config: ServerConfig) -> Self {
        Self::start_with(config.listen_udp("127.0.0.1:0".parse().expect("an address")), DriverConfig::default, |_| {})
    }

    /// Starts a server over this protocol.
    pub(crate) fn start_over(config: ServerConfig, protocol: Protocol) -> Self {
        let local = "127.0.0.1:0".parse().expect("an address");
        Self::start_with(config.listen(protocol, local), DriverConfig::default, |_| {})
    }

    /// Starts a server, and calls `prepare` when its socket is open.
    pub(crate) fn start_with(
        config: ServerConfig,
        driver: impl FnOnce() -> DriverConfig + Send + 'static,
        prepare: impl FnOnce(&mut Driver<Server>) + Send + 'static,
    ) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let (sender, address) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let server = Server::new(&config).expect("a valid configuration");
                let mut driver = Driver::with_config(server, driver()).expect("a driver");
                driver.with(Server::start).expect("not started yet");
                let local = driver.run_until(|event| {
                    let ServerEvent::Listening { local, .. } = event else { return None };
                    Some(local)
                });
                let local = local.await;
                prepare(&mut driver);
                sender.send(local).expect("the test waits");
                loop {
                    tokio::select! {
                        _ = driver.next() => {}
                        _ = &mut stopped => return,
                    }
                }
            });
        });
        let address = address.recv_timeout(crate::TIMEOUT).expect("the server starts");
        Self { address, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }
}

impl Drop for RelayServer {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        // A panic of the server is a failure of the test.
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(thread::panicking() || !matches!(ended, Some(Err(_))), "the server panicked");
    }
}
