//! Resolves server names with the resolver of the system, within a time limit.
//!
//! All names are resolved at once, each in its own thread. If one family is measured, only the addresses of this family
//! are requested. The call of the system cannot be cancelled: a thread without a result continues in the background. A
//! [`Resolver`] starts no second thread for a name whose thread still runs, so the number of threads has a bound.
//!
//! The classification does not wait for the slowest name. As soon as one server is known, the limit is half of the
//! time; as soon as [`ENOUGH`] servers are known, it is [`GRACE`].

use crate::servers::{Host, ServerName};
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use dns_lookup::{AddrFamily, AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use portolan_nat::discovery::StunServer;
use portolan_nat::profile::Family;
use std::collections::HashSet;
use std::io;
use std::thread;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

/// The number of servers that are enough to measure a mapping.
const ENOUGH: usize = 2;

/// The time limit for the other names once there are enough servers.
const GRACE: Duration = Duration::from_millis(150);

/// A resolver.
pub(crate) trait Lookup: Send + Sync + 'static {
    /// Returns the addresses of `host` in `family`, or of both families without one. The port is 0. The call may block
    /// without limit.
    fn lookup(&self, host: &str, family: Option<Family>) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct System;

/// The error of glibc for a host with addresses of the other family only: EAI_ADDRFAMILY.
const OTHER_FAMILY: i32 = -9;

impl Lookup for System {
    fn lookup(&self, host: &str, family: Option<Family>) -> io::Result<Vec<SocketAddr>> {
        let address = family.map_or(0, |family| match family {
            Family::V4 => AddrFamily::Inet.into(),
            Family::V6 => AddrFamily::Inet6.into(),
        });
        let hints = AddrInfoHints { address, socktype: SockType::DGram.into(), ..AddrInfoHints::default() };
        match getaddrinfo(Some(host), None, Some(hints)) {
            Ok(found) => found.map(|entry| entry.map(|entry| entry.sockaddr)).collect(),
            Err(why) if family.is_some() && has_no_such_address(&why) => Ok(Vec::new()),
            Err(why) => Err(why.into()),
        }
    }
}

fn has_no_such_address(why: &dns_lookup::LookupError) -> bool {
    matches!(why.kind(), LookupErrorKind::NoData) || cfg!(target_os = "linux") && why.error_num() == OTHER_FAMILY
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
    /// The resolver returned this error.
    Failed(Box<str>),
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
                let said = why.strip_prefix("failed to lookup address information: ").unwrap_or(why);
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

/// The result of one name: its addresses, or the text of the error.
type Found = Result<Vec<SocketAddr>, Box<str>>;

/// Resolves names in the families of a measurement, and limits the number of threads.
pub(crate) struct Resolver {
    lookup: Arc<dyn Lookup>,
    families: Vec<Family>,
    /// The names whose threads have not returned.
    running: HashSet<Box<str>>,
    sender: mpsc::UnboundedSender<(Box<str>, Found)>,
    answers: mpsc::UnboundedReceiver<(Box<str>, Found)>,
}

impl Resolver {
    /// Returns a resolver for these families.
    pub(crate) fn new(lookup: Arc<dyn Lookup>, families: &[Family]) -> Self {
        let (sender, answers) = mpsc::unbounded_channel();
        Self { lookup, families: families.to_vec(), running: HashSet::new(), sender, answers }
    }

    /// Resolves all names at once within `bound`. If one server is known, half of `bound` stays for the measurement.
    pub(crate) async fn resolve(&mut self, names: &[ServerName], bound: Duration) -> Resolved {
        // A result that came between two calls is old. The name is resolved again.
        while let Ok((host, _)) = self.answers.try_recv() {
            self.running.remove(&host);
        }
        let start = Instant::now();
        let mut deadline = start + bound;
        let mut found: Vec<Option<Found>> = names.iter().map(|name| self.start(name)).collect();
        while found.contains(&None) {
            match found.iter().flatten().flatten().filter(|addresses| self.is_usable(addresses)).count() {
                0 => {}
                1..ENOUGH => deadline = deadline.min(start + bound / 2),
                ENOUGH.. => deadline = deadline.min(Instant::now() + GRACE),
            }
            // The resolver keeps a sender, so the channel never ends.
            let Ok(Some((host, answer))) = timeout_at(deadline, self.answers.recv()).await else { break };
            self.running.remove(&host);
            for (name, slot) in names.iter().zip(&mut found).filter(|(name, _)| name.host == Host::Name(host.clone())) {
                *slot = Some(answer.clone().map(|mut addresses| {
                    addresses.iter_mut().for_each(|address| address.set_port(name.port));
                    addresses
                }));
            }
        }
        sort_results(names, found, &self.families)
    }

    /// Starts the lookup of a name, unless it runs already. Returns the result if no lookup is necessary.
    fn start(&mut self, name: &ServerName) -> Option<Found> {
        let host = match &name.host {
            Host::Address(ip) => return Some(Ok(vec![SocketAddr::new(*ip, name.port)])),
            Host::Name(host) => host.clone(),
        };
        if self.running.contains(&host) {
            return None;
        }
        let (lookup, sender) = (Arc::clone(&self.lookup), self.sender.clone());
        let only = if let [family] = self.families.as_slice() { Some(*family) } else { None };
        let asked = host.clone();
        let thread = thread::Builder::new().name(format!("resolve {host}")).spawn(move || {
            let answer = lookup.lookup(&asked, only).map_err(|why| why.to_string().into());
            // The receiver is gone if the command has ended.
            let _ = sender.send((asked, answer));
        });
        match thread {
            Ok(_) => {
                self.running.insert(host);
                None
            }
            Err(why) => Some(Err(why.to_string().into())),
        }
    }

    fn is_usable(&self, addresses: &[SocketAddr]) -> bool {
        addresses.iter().any(|address| self.families.contains(&Family::of(address)))
    }
}

/// Resolves one name with the resolver of the system.
pub(crate) async fn resolve(name: &ServerName, families: &[Family], bound: Duration) -> Resolved {
    Resolver::new(Arc::new(System), families).resolve(core::slice::from_ref(name), bound).await
}

fn sort_results(names: &[ServerName], found: Vec<Option<Found>>, families: &[Family]) -> Resolved {
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
    use core::sync::atomic::{AtomicUsize, Ordering};

    const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// A resolver with fixed results. It never returns for a name that begins with `never`.
    struct Scripted;

    impl Lookup for Scripted {
        fn lookup(&self, host: &str, family: Option<Family>) -> io::Result<Vec<SocketAddr>> {
            match host {
                "four.example" => Ok(vec![SocketAddr::new([192, 0, 2, 4].into(), 0)]),
                "twice.example" => Ok(vec![SocketAddr::new([192, 0, 2, 5].into(), 0); 2]),
                "slow-six.example" if family == Some(Family::V4) => Ok(vec![SocketAddr::new([192, 0, 2, 6].into(), 0)]),
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

    async fn resolve_all(list: &[&str], families: &[Family], bound: Duration) -> Resolved {
        Resolver::new(Arc::new(Scripted), families).resolve(&names(list), bound).await
    }

    fn reasons(resolved: &Resolved) -> Vec<String> {
        resolved.unresolved.iter().map(ToString::to_string).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_without_an_answer_is_given_up_at_the_limit() {
        let start = Instant::now();
        let resolved = resolve_all(&["never.example"], &BOTH, Duration::from_secs(2)).await;
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
        let list = ["192.0.2.1", "never.example", "192.0.2.2:9"];
        let resolved = resolve_all(&list, &BOTH, Duration::from_secs(5)).await;
        assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
        let known: Vec<&str> = resolved.servers.iter().map(|server| &*server.name).collect();
        assert_eq!(known, ["192.0.2.1:3478", "192.0.2.2:9"]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_resolved_server_leaves_half_of_the_time_for_the_measurement() {
        let start = Instant::now();
        let list = ["192.0.2.1", "never.example"];
        let resolved = resolve_all(&list, &BOTH, Duration::from_secs(5)).await;
        assert_eq!(start.elapsed(), Duration::from_millis(2500));
        assert_eq!((resolved.servers.len(), resolved.unresolved.len()), (1, 1));
    }

    #[tokio::test]
    async fn each_name_has_its_own_result_in_the_given_order() {
        let list = ["none.example", "four.example:5", "2001:db8::1", "twice.example"];
        let resolved = resolve_all(&list, &[Family::V4], Duration::from_secs(60)).await;
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

    // The clock is not paused: it would advance while the thread of the lookup runs.
    #[tokio::test]
    async fn one_family_does_not_wait_for_the_response_of_the_other() {
        let resolved = resolve_all(&["slow-six.example"], &[Family::V4], Duration::from_secs(60)).await;
        assert_eq!(resolved.servers[0].addresses, ["192.0.2.6:3478".parse().unwrap()]);
    }

    #[tokio::test(start_paused = true)]
    async fn both_families_wait_for_both_responses() {
        assert!(resolve_all(&["slow-six.example"], &BOTH, Duration::from_secs(5)).await.servers.is_empty());
    }

    /// Counts the calls, and never returns.
    struct Hanging(AtomicUsize);

    impl Lookup for Hanging {
        fn lookup(&self, _: &str, _: Option<Family>) -> io::Result<Vec<SocketAddr>> {
            self.0.fetch_add(1, Ordering::SeqCst);
            loop {
                thread::park();
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_hangs_gets_one_thread_for_each_name_in_all_rounds() {
        let hanging = Arc::new(Hanging(AtomicUsize::new(0)));
        let mut resolver = Resolver::new(hanging.clone(), &BOTH);
        let list = names(&["a.example", "b.example:1", "b.example:2"]);
        for _ in 0..50 {
            assert_eq!(resolver.resolve(&list, Duration::from_secs(1)).await.unresolved.len(), 3);
        }
        assert_eq!(resolver.running.len(), 2);
        assert!(hanging.0.load(Ordering::SeqCst) <= 2);
    }

    /// Returns another address at each call.
    struct Counting(AtomicUsize);

    impl Lookup for Counting {
        fn lookup(&self, _: &str, _: Option<Family>) -> io::Result<Vec<SocketAddr>> {
            let call = u8::try_from(self.0.fetch_add(1, Ordering::SeqCst)).unwrap();
            Ok(vec![SocketAddr::new([192, 0, 2, call].into(), 0)])
        }
    }

    #[tokio::test]
    async fn a_name_that_resolved_is_resolved_again_in_the_next_round() {
        let mut resolver = Resolver::new(Arc::new(Counting(AtomicUsize::new(1))), &BOTH);
        for expected in ["192.0.2.1:9", "192.0.2.2:9"] {
            let resolved = resolver.resolve(&names(&["a.example:9"]), Duration::from_secs(60)).await;
            assert_eq!(resolved.servers[0].addresses, [expected.parse().unwrap()]);
        }
    }

    #[test]
    fn the_resolver_of_the_system_returns_only_the_family_of_the_request() {
        for (family, ip) in [(Family::V4, "127.0.0.1:0"), (Family::V6, "[::1]:0")] {
            let found = System.lookup("localhost", Some(family)).unwrap_or_default();
            assert!(found.iter().all(|address| Family::of(address) == family), "{found:?}");
            assert_eq!(
                System.lookup(&ip.parse::<SocketAddr>().unwrap().ip().to_string(), Some(family)).unwrap(),
                [ip.parse().unwrap()]
            );
        }
        assert_eq!(System.lookup("127.0.0.1", Some(Family::V6)).unwrap_or_default(), []);
    }
}
