//! Network namespaces: each is a host, and a thread enters one namespace at a time.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicU32, Ordering};
use std::fs::{self, File};
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::Outcome;
use crate::lab::{run, tool};

/// A network namespace with a name in the lab's `/run/netns`.
pub(crate) struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    /// Creates a namespace with only a loopback device, which is down.
    pub(crate) fn new(number: u32, role: &str) -> Outcome<Self> {
        let name = format!("n{number}-{role}");
        run(tool("ip").args(["netns", "add", &name]), "")?;
        let file = File::open(format!("/run/netns/{name}"))?;
        Ok(Self { name, file })
    }

    /// Creates a namespace without links to others.
    pub(crate) fn alone(role: &str) -> Outcome<Self> {
        Self::new(next_number(), role)
    }

    /// Runs `work` on a thread in the namespace. Sockets and processes of `work` belong to the namespace.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                move_into_link_name_space(self.file.as_fd(), Some(LinkNameSpaceType::Network))?;
                work()
            });
            worker.join().unwrap_or_else(|_| Err("the work inside the namespace panicked".into()))
        })
    }

    /// Opens a UDP socket in the namespace.
    pub(crate) fn bind(&self, local: SocketAddr) -> Outcome<UdpSocket> {
        self.inside(|| Ok(UdpSocket::bind(local)?))
    }

    /// Returns the name, as `ip netns` shows it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs lines of `ip` commands in the namespace.
    pub(crate) fn ip(&self, batch: &str) -> Outcome {
        Ok(run(tool("ip").args(["-n", &self.name, "-batch", "-"]), batch)?)
    }

    /// Loads filter rules in the namespace.
    pub(crate) fn nft(&self, rules: &str) -> Outcome {
        self.inside(|| Ok(run(tool("nft").args(["--file", "-"]), rules)?))
    }

    /// Sets kernel variables of the network. The variables must exist.
    pub(crate) fn set(&self, variables: &[(&str, &str)]) -> Outcome {
        self.inside(|| {
            for (name, value) in variables {
                fs::write(format!("/proc/sys/net/{name}"), value).map_err(|why| format!("{name} = {value}: {why}"))?;
            }
            Ok(())
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A namespace that cannot be deleted now ends with the lab.
        let _ = run(tool("ip").args(["netns", "delete", &self.name]), "");
    }
}

/// Each name is used once per process.
pub(crate) fn next_number() -> u32 {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    NUMBER.fetch_add(1, Ordering::Relaxed)
}
