//! The servers as child processes: start, processor time, memory, end.
//!
//! Every server is pinned to one core and has an address of its own, so that no two servers use the same port.

use crate::Outcome;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The user name, the realm and the password of every server.
pub(crate) const CREDENTIALS: (&str, &str, &str) = ("ada", "example.org", "lovelace");

/// The compared servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Debian's `turnserver` with one relay thread.
    Coturn,
    /// `portolan_turn::Server` on the driver of `portolan_tokio`.
    Portolan,
    /// A forwarder without a protocol, on the driver of `portolan_tokio`.
    Driver,
    /// A forwarder without a protocol, by recv and send.
    Bare,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Coturn, Self::Portolan, Self::Driver, Self::Bare];

    /// The name in the tables, and the argument that starts the server from this binary.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Coturn => "coturn",
            Self::Portolan => "portolan",
            Self::Driver => "driver",
            Self::Bare => "bare",
        }
    }

    /// Whether clients allocate by TURN, and use ChannelData.
    pub(crate) const fn is_turn(self) -> bool {
        matches!(self, Self::Coturn | Self::Portolan)
    }

    fn ip(self) -> IpAddr {
        let last = match self {
            Self::Coturn => 2,
            Self::Portolan => 3,
            Self::Driver => 4,
            Self::Bare => 5,
        };
        Ipv4Addr::new(127, 0, 0, last).into()
    }

    /// Whether the server can be started.
    pub(crate) fn is_installed(self) -> bool {
        match self {
            Self::Coturn => Command::new("turnserver").arg("--version").output().is_ok(),
            Self::Portolan | Self::Driver | Self::Bare => true,
        }
    }
}

/// A running server. Its process ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    child: Child,
    folder: Option<PathBuf>,
}

impl Server {
    /// Starts a server on a core. `peer` is the address to which the bare forwarder sends.
    pub(crate) fn start(kind: Kind, core: usize, peer: SocketAddr) -> Outcome<Self> {
        let free = UdpSocket::bind((kind.ip(), 0))?.local_addr()?;
        let folder = std::env::temp_dir().join(format!("portolan-relay-{}-{}", std::process::id(), free.port()));
        let mut command = match kind {
            Kind::Coturn => {
                std::fs::create_dir_all(&folder)?;
                coturn(free, &folder)
            }
            Kind::Portolan | Kind::Driver | Kind::Bare => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["serve", kind.name(), &free.to_string(), &peer.to_string()]).stdout(Stdio::piped());
                command
            }
        };
        let mut child = command.stdin(Stdio::piped()).spawn().map_err(|why| format!("{}: {why}", kind.name()))?;
        let output = child.stdout.take();
        let server = Self { kind, address: free, child, folder: (kind == Kind::Coturn).then_some(folder) };
        pin(server.pid()?, core)?;
        match output {
            Some(output) => {
                // The first line says that the server is ready.
                BufReader::new(output).read_line(&mut String::new())?;
            }
            None => wait_for_binding(free)?,
        }
        Ok(server)
    }

    pub(crate) fn pid(&self) -> Outcome<i32> {
        Ok(i32::try_from(self.child.id())?)
    }

    /// The processor time of all threads, user and system.
    pub(crate) fn processor_time(&self) -> Outcome<Duration> {
        let clock = clock_getcpuclockid(Pid::from_raw(self.pid()?))?;
        Ok(clock_gettime(clock)?.into())
    }

    /// The resident memory in bytes.
    pub(crate) fn resident(&self) -> Outcome<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1_024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _ended = self.child.wait();
        if let Some(folder) = &self.folder {
            let _absent = std::fs::remove_dir_all(folder);
        }
    }
}

/// Debian's server with one relay thread, without TLS and logs.
fn coturn(address: SocketAddr, folder: &std::path::Path) -> Command {
    let (user, realm, password) = CREDENTIALS;
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
    let mut command = Command::new("turnserver");
    command
        .args(["-n", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--no-tcp-relay", "--no-rfc5780"])
        .args(["--relay-threads", "1", "--allow-loopback-peers", "--fingerprint", "--lt-cred-mech"])
        .args(["--listening-ip", &ip, "--relay-ip", &ip, "--listening-port", &port])
        .args(["--min-port", "10000", "--max-port", "30000"])
        .args(["--realm", realm, "--user", &format!("{user}:{password}")])
        .args(["--userdb", &file("turndb"), "--pidfile", &file("pid")])
        .args(["--log-file", "/dev/null", "--simple-log", "--no-stdout-log"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Waits until a server answers a Binding request.
fn wait_for_binding(server: SocketAddr) -> Outcome<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    let request = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    for _ in 0..200 {
        socket.send_to(&request, server)?;
        if socket.recv(&mut [0; 512]).is_ok() {
            return Ok(());
        }
    }
    Err("the server does not answer a Binding request".into())
}

/// Lets a process run on one core only. 0 is the calling thread.
pub(crate) fn pin(pid: i32, core: usize) -> Outcome<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(Pid::from_raw(pid), &set)?;
    Ok(())
}

/// Gives this process and its later children the policy `SCHED_BATCH`: a process that has new work does not interrupt
/// the one that runs.
pub(crate) fn run_in_turns() -> Outcome<()> {
    let set = Command::new("chrt").args(["--batch", "--pid", "0", &std::process::id().to_string()]).status()?;
    if set.success() { Ok(()) } else { Err(format!("chrt: {set}").into()) }
}

/// The receive buffer of the server's and the peer's sockets in bytes, so that no datagram of the window is dropped.
pub(crate) const SOCKET_BUFFER: usize = 1 << 20;

/// Binds a socket that does not block.
pub(crate) fn bind(address: SocketAddr) -> Outcome<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    setsockopt(&socket, sockopt::RcvBuf, &SOCKET_BUFFER)?;
    Ok(socket)
}

/// Lets the system end this process when its parent ends.
pub(crate) fn end_with_parent() -> Outcome<()> {
    Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?)
}
