//! Resolves server names with the resolver of the system, within a time limit.
//!
//! All names are resolved at once, each in its own thread. The call of the system cannot be cancelled: a thread without
//! a result is abandoned and ends with the process. The classification does not wait for the slowest name. As soon as
//! one server is known, the limit is half of the time; as soon as [`ENOUGH`] servers are known, it is [`GRACE`].

use crate::servers::{Host, ServerName};
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_nat::discovery::StunServer;
use portolan_nat::profile::Family;
use std::io;
use std::net::ToSocketAddrs;
use std::thread;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// The number of servers that are enough to measure a mapping.
const ENOUGH: usize = 2;

/// The time limit for the other names once there are enough servers.
const GRACE: Duration = Duration::from_millis(150);

/// A resolver.
pub(crate) trait Lookup: Send + Sync + 'static {
    /// Returns the addresses of `host` with `port`. The call may block without limit.
    fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

impl Lookup for System {
    fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        (host, port).to_socket_addrs().map(Iterator::collect)
    }
}

/// The results of all names.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    /// The servers with an address of the given families, in the given order.
    pub(crate) servers: Vec<StunServer>,
    /// The servers without such an address.
    pub(crate) unresolved: Vec<Unresolved>,
}

/// A server without an address.
#[derive(Debug)]
pub(crate) struct Unresolved {
    /// The name as the user wrote it.
    pub(crate) name: ServerName,
    /// Why the server has no address.
    pub(crate) why: UnresolvedReason,
}

/// Why a server has no address.
#[derive(Debug)]
pub(crate) enum UnresolvedReason {
    /// The resolver returned an error.
    Failed(io::Error),
    /// The server has no address of the given families.
    OtherFamily,
    /// The resolver did not return in time.
    TimedOut,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {} is skipped: ", self.name)?;
        match &self.why {
            UnresolvedReason::Failed(why) => {
                let why = why.to_string();
                let said = why.strip_prefix("failed to lookup address information: ").unwrap_or(&why);
                write!(f, "its name does not resolve ({said}); check the name")
            }
            UnresolvedReason::OtherFamily => {
                f.write_str("it has no address of the requested family; leave out -4, -6 or --local")
            }
            UnresolvedReason::TimedOut => {
                f.write_str("the resolver did not respond in time; name the server by its address")
            }
        }
    }
}

/// Resolves all names at once within `bound`. If one server is known, half of `bound` stays for the measurement.
pub(crate) async fn resolve(
    lookup: Arc<dyn Lookup>,
    names: &[ServerName],
    families: &[Family],
    bound: Duration,
) -> Resolved {
    let start = Instant::now();
    let mut deadline = start + bound;
    let mut found: Vec<Option<io::Result<Vec<SocketAddr>>>> = Vec::new();
    let (sender, mut answers) = mpsc::unbounded_channel();
    for (place, name) in names.iter().enumerate() {
        found.push(match &name.host {
            Host::Address(ip) => Some(Ok(vec![SocketAddr::new(*ip, name.port)])),
            Host::Name(host) => spawn_lookup(&lookup, place, host, name.port, sender.clone()).err().map(Err),
        });
    }
    drop(sender);
    let usable = |found: &[Option<io::Result<Vec<SocketAddr>>>]| {
        let of_family = |address: &SocketAddr| families.contains(&Family::of(address));
        found.iter().flatten().flatten().filter(|addresses| addresses.iter().any(of_family)).count()
    };
    loop {
        match usable(&found) {
            0 => {}
            1..ENOUGH => deadline = deadline.min(start + bound / 2),
            ENOUGH.. => deadline = deadline.min(Instant::now() + GRACE),
        }
        // The channel ends when every thread has returned.
        let Ok(Some((place, answer))) = timeout_at(deadline, answers.recv()).await else { break };
        if let Some(slot) = found.get_mut(place) {
            *slot = Some(answer);
        }
    }
    sort_results(names, found, families)
}

type Answer = (usize, io::Result<Vec<SocketAddr>>);

fn spawn_lookup(
    lookup: &Arc<dyn Lookup>,
    place: usize,
    host: &str,
    port: u16,
    answers: mpsc::UnboundedSender<Answer>,
) -> io::Result<()> {
    let (lookup, host) = (Arc::clone(lookup), host.to_owned());
    thread::Builder::new().name(format!("resolve {host}")).spawn(move || {
        // After the time limit the receiver is gone, and the result is not needed.
        let _ = answers.send((place, lookup.lookup(&host, port)));
    })?;
    Ok(())
}

fn sort_results(
    names: &[ServerName],
    found: Vec<Option<io::Result<Vec<SocketAddr>>>>,
    families: &[Family],
) -> Resolved {
    let mut resolved = Resolved::default();
    for (name, found) in names.iter().zip(found) {
        let why = match found {
            None => UnresolvedReason::TimedOut,
            Some(Err(why)) => UnresolvedReason::Failed(why),
            Some(Ok(mut addresses)) => {
                addresses.retain(|address| families.contains(&Family::of(address)));
                let mut once = Vec::with_capacity(addresses.len());
                addresses.into_iter().for_each(|address| {
                    if !once.contains(&address) {
                        once.push(address);
                    }
                });
                if !once.is_empty() {
                    resolved.servers.push(StunServer { name: name.to_string().into(), addresses: once });
                    continue;
                }
                UnresolvedReason::OtherFamily
            }
        };
        resolved.unresolved.push(Unresolved { name: name.clone(), why });
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// A resolver with fixed results. It never returns for a name that begins with `never`.
    struct Scripted;

    impl Lookup for Scripted {
        fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
            match host {
                "four.example" => Ok(vec![SocketAddr::new([192, 0, 2, 4].into(), port)]),
                "twice.example" => Ok(vec![SocketAddr::new([192, 0, 2, 5].into(), port); 2]),
                "none.example" => Err(io::Error::other("failed to lookup address information: Name not known")),
                _ => loop {
                    thread::park();
                },
            }
        }
    }

    fn names(texts: &[&str]) -> Vec<ServerName> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn reasons(resolved: &Resolved) -> Vec<String> {
        resolved.unresolved.iter().map(ToString::to_string).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_without_an_answer_is_given_up_at_the_limit() {
        let start = Instant::now();
        let resolved = resolve(Arc::new(Scripted), &names(&["never.example"]), &BOTH, Duration::from_secs(2)).await;
        assert_eq!(start.elapsed().as_secs(), 2);
        assert!(resolved.servers.is_empty());
        assert_eq!(
            reasons(&resolved),
            ["server never.example:3478 is skipped: the resolver did not respond in time; name the server by its \
              address"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn two_resolved_servers_do_not_wait_for_a_third() {
        let start = Instant::now();
        let list = names(&["192.0.2.1", "never.example", "192.0.2.2:9"]);
        let resolved = resolve(Arc::new(Scripted), &list, &BOTH, Duration::from_secs(5)).await;
        assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
        let known: Vec<&str> = resolved.servers.iter().map(|server| &*server.name).collect();
        assert_eq!(known, ["192.0.2.1:3478", "192.0.2.2:9"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_resolved_server_leaves_half_of_the_time_for_the_measurement() {
        let start = Instant::now();
        let list = names(&["192.0.2.1", "never.example"]);
        let resolved = resolve(Arc::new(Scripted), &list, &BOTH, Duration::from_secs(5)).await;
        assert_eq!(start.elapsed(), Duration::from_millis(2500));
        assert_eq!((resolved.servers.len(), resolved.unresolved.len()), (1, 1));
    }

    #[tokio::test]
    async fn each_name_has_its_own_result_in_the_given_order() {
        let list = names(&["none.example", "four.example:5", "2001:db8::1", "twice.example"]);
        let resolved = resolve(Arc::new(Scripted), &list, &[Family::V4], Duration::from_secs(60)).await;
        let known: Vec<_> = resolved.servers.iter().map(|server| (&*server.name, server.addresses.len())).collect();
        assert_eq!(known, [("four.example:5", 1), ("twice.example:3478", 1)]);
        assert_eq!(
            reasons(&resolved),
            [
                "server none.example:3478 is skipped: its name does not resolve (Name not known); check the name",
                "server [2001:db8::1]:3478 is skipped: it has no address of the requested family; leave out -4, -6 \
                 or --local",
            ]
        );
    }
}
