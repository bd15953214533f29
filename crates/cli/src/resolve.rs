//! Resolves server names with the resolver of the system, within a time limit.
//!
//! All names are resolved at once, each in its own thread, and a measurement of both families has a thread for each
//! family of a name. So a DNS server that drops the queries of one family does not delay the other one. The call of the
//! system cannot be cancelled: a thread without a result continues in the background. A [`Resolver`] starts no second
//! thread for a lookup whose thread still runs, so the number of threads has a bound.
//!
//! The classification does not wait for the slowest name. As soon as one server is known, the limit is half of the
//! time; as soon as [`ENOUGH`] servers are known, it is [`GRACE`]. A server that is known in one family waits for the
//! other family for [`FAMILY_WAIT`] at most.

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

/// The time limit for the other family of the known servers, from the time at which the first server is known.
const FAMILY_WAIT: Duration = Duration::from_secs(1);

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
    /// The servers with an address of one family, whose lookup of the other family did not return in time.
    pub(crate) late: Vec<LateFamily>,
}

/// The servers that are used without one family, because the lookup did not return in time.
#[derive(Debug)]
pub(crate) struct LateFamily {
    family: Family,
    names: Vec<ServerName>,
}

impl fmt::Display for LateFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.names.iter().map(ToString::to_string).collect();
        let (family, names) = (self.family, names.join(", "));
        write!(f, "without {family}: the resolver did not return the {family} addresses in time for {names}")
    }
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

/// A host, and the family whose addresses are requested; `None`: both families in one call.
type Query = (Box<str>, Option<Family>);

/// The result of each lookup of one name. `None`: the lookup has not returned.
type Lookups = Vec<Option<Found>>;

/// Resolves names in the families of a measurement, and limits the number of threads.
pub(crate) struct Resolver {
    lookup: Arc<dyn Lookup>,
    families: Vec<Family>,
    /// The lookups of each name.
    queries: Vec<Option<Family>>,
    /// The lookups whose threads have not returned.
    running: HashSet<Query>,
    sender: mpsc::UnboundedSender<(Query, Found)>,
    answers: mpsc::UnboundedReceiver<(Query, Found)>,
}

impl Resolver {
    /// Returns a resolver for these families, with one lookup for each family of a name.
    pub(crate) fn new(lookup: Arc<dyn Lookup>, families: &[Family]) -> Self {
        Self::with_queries(lookup, families, families.iter().copied().map(Some).collect())
    }

    fn with_queries(lookup: Arc<dyn Lookup>, families: &[Family], queries: Vec<Option<Family>>) -> Self {
        let (sender, answers) = mpsc::unbounded_channel();
        Self { lookup, families: families.to_vec(), queries, running: HashSet::new(), sender, answers }
    }

    /// Resolves all names at once within `bound`. If one server is known, half of `bound` stays for the measurement.
    pub(crate) async fn resolve(&mut self, names: &[ServerName], bound: Duration) -> Resolved {
        // A result that came between two calls is old. The name is resolved again.
        while let Ok((query, _)) = self.answers.try_recv() {
            self.running.remove(&query);
        }
        let mut limits = Limits::new(Instant::now(), bound);
        let mut found: Vec<Lookups> = names.iter().map(|name| self.start(name)).collect();
        loop {
            limits.shorten(Instant::now(), &found, &self.families);
            let Some(deadline) = limits.deadline(&found, &self.families) else { break };
            // The resolver keeps a sender, so the channel never ends.
            let Ok(Some((query, answer))) = timeout_at(deadline, self.answers.recv()).await else { break };
            self.running.remove(&query);
            let (host, family) = query;
            let of_host = names.iter().zip(&mut found).filter(|(name, _)| name.host == Host::Name(host.clone()));
            for (name, lookups) in of_host {
                let of_family = self.queries.iter().zip(lookups).filter(|(asked, _)| **asked == family);
                of_family.for_each(|(_, slot)| *slot = Some(with_port(answer.clone(), name.port)));
            }
        }
        sort_results(names, found, &self.families, &self.queries)
    }

    /// Starts the lookups of a name, except those that run already. Returns the results that need no lookup.
    fn start(&mut self, name: &ServerName) -> Lookups {
        let queries = self.queries.clone();
        match &name.host {
            Host::Address(ip) => vec![Some(Ok(vec![SocketAddr::new(*ip, name.port)])); queries.len()],
            Host::Name(host) => queries.into_iter().map(|family| self.look_up((host.clone(), family))).collect(),
        }
    }

    /// Starts the thread of a lookup, unless it runs already. Returns the error if no thread can be started.
    fn look_up(&mut self, query: Query) -> Option<Found> {
        if self.running.contains(&query) {
            return None;
        }
        let (lookup, sender) = (Arc::clone(&self.lookup), self.sender.clone());
        let asked = query.clone();
        let thread = thread::Builder::new().name(format!("resolve {}", query.0)).spawn(move || {
            let answer = lookup.lookup(&asked.0, asked.1).map_err(|why| why.to_string().into());
            // The receiver is gone if the command has ended.
            let _ = sender.send((asked, answer));
        });
        match thread {
            Ok(_) => {
                self.running.insert(query);
                None
            }
            Err(why) => Some(Err(why.to_string().into())),
        }
    }
}

/// The time limits of one call of [`Resolver::resolve`].
struct Limits {
    half: Instant,
    /// The limit for names without a usable address.
    names: Instant,
    /// The limit for the other family of names with a usable address.
    families: Instant,
}

impl Limits {
    fn new(start: Instant, bound: Duration) -> Self {
        Self { half: start + bound / 2, names: start + bound, families: start + bound }
    }

    /// Shortens the limits according to the results so far.
    fn shorten(&mut self, now: Instant, found: &[Lookups], families: &[Family]) {
        let usable = found.iter().filter(|lookups| is_usable(lookups, families));
        let complete = usable.clone().filter(|lookups| !lookups.contains(&None)).count();
        let known = usable.count();
        match known {
            0 => return,
            1..ENOUGH => self.names = self.names.min(self.half),
            ENOUGH.. => self.names = self.names.min(now + GRACE),
        }
        let wait = if complete >= ENOUGH { GRACE } else { FAMILY_WAIT };
        self.families = self.families.min(self.half).min(now + wait);
    }

    /// The time until which a lookup may still return; `None` if all lookups have returned.
    fn deadline(&self, found: &[Lookups], families: &[Family]) -> Option<Instant> {
        let waiting = found.iter().filter(|lookups| lookups.contains(&None));
        waiting.map(|lookups| if is_usable(lookups, families) { self.families } else { self.names }).max()
    }
}

/// Whether the lookups so far have an address of the given families.
fn is_usable(lookups: &Lookups, families: &[Family]) -> bool {
    lookups.iter().flatten().flatten().flatten().any(|address| families.contains(&Family::of(address)))
}

fn with_port(found: Found, port: u16) -> Found {
    found.map(|mut addresses| {
        addresses.iter_mut().for_each(|address| address.set_port(port));
        addresses
    })
}

/// Resolves one name with the resolver of the system, in one lookup: the system orders the addresses of both families.
pub(crate) async fn resolve(name: &ServerName, families: &[Family], bound: Duration) -> Resolved {
    let only = if let [family] = families { Some(*family) } else { None };
    let mut resolver = Resolver::with_queries(Arc::new(System), families, vec![only]);
    resolver.resolve(core::slice::from_ref(name), bound).await
}

fn sort_results(
    names: &[ServerName],
    found: Vec<Lookups>,
    families: &[Family],
    queries: &[Option<Family>],
) -> Resolved {
    let mut resolved = Resolved::default();
    for (name, lookups) in names.iter().zip(found) {
        let late = queries.iter().zip(&lookups).filter(|(_, lookup)| lookup.is_none());
        let late: Vec<Family> = late.filter_map(|(family, _)| *family).collect();
        match addresses(lookups, families) {
            Ok(addresses) => {
                resolved.servers.push(StunServer { name: name.to_string().into(), addresses });
                late.into_iter().for_each(|family| resolved.add_late(family, name));
            }
            Err(why) => resolved.unresolved.push(Unresolved { name: name.clone(), why }),
        }
    }
    resolved
}

impl Resolved {
    fn add_late(&mut self, family: Family, name: &ServerName) {
        match self.late.iter_mut().find(|late| late.family == family) {
            Some(late) => late.names.push(name.clone()),
            None => self.late.push(LateFamily { family, names: vec![name.clone()] }),
        }
    }
}

/// Returns the addresses of the given families, each once, or the reason if there is none.
fn addresses(lookups: Lookups, families: &[Family]) -> Result<Vec<SocketAddr>, UnresolvedReason> {
    let is_timed_out = lookups.contains(&None);
    let (mut once, mut failure) = (Vec::new(), None);
    for found in lookups.into_iter().flatten() {
        match found {
            Ok(addresses) => addresses.into_iter().filter(|one| families.contains(&Family::of(one))).for_each(|one| {
                if !once.contains(&one) {
                    once.push(one);
                }
            }),
            Err(why) => failure = failure.or(Some(why)),
        }
    }
    match failure {
        _ if !once.is_empty() => Ok(once),
        _ if is_timed_out => Err(UnresolvedReason::TimedOut),
        Some(why) => Err(UnresolvedReason::Failed(why)),
        None if families.len() > 1 => Err(UnresolvedReason::Failed("the name has no address".into())),
        None => Err(UnresolvedReason::OtherFamily),
    }
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
    async fn a_family_without_an_answer_delays_the_other_one_by_a_second_and_is_named() {
        let mut resolver = Resolver::new(Arc::new(Hanging(AtomicUsize::new(0))), &BOTH);
        let sender = resolver.sender.clone();
        tokio::spawn(async move {
            let four = Ok(vec![SocketAddr::new([192, 0, 2, 6].into(), 0)]);
            sender.send((("slow-six.example".into(), Some(Family::V4)), four)).unwrap();
        });
        let start = Instant::now();
        let list = names(&["slow-six.example", "slow-six.example:9"]);
        let resolved = resolver.resolve(&list, Duration::from_secs(60)).await;
        assert_eq!(start.elapsed(), FAMILY_WAIT);
        assert_eq!(resolved.servers.len(), 2);
        assert_eq!(resolved.servers[0].addresses, ["192.0.2.6:3478".parse().unwrap()]);
        let late: Vec<String> = resolved.late.iter().map(ToString::to_string).collect();
        assert_eq!(
            late,
            ["without IPv6: the resolver did not return the IPv6 addresses in time for slow-six.example:3478, \
              slow-six.example:9"]
        );
        assert_eq!(resolver.running.len(), 1, "only the thread of IPv6 still runs");
    }

    #[test]
    fn the_limits_depend_on_the_servers_that_are_known_and_complete() {
        let (start, bound) = (Instant::now(), Duration::from_secs(5));
        let at = |millis| start + Duration::from_millis(millis);
        let address = |last| Some(Ok(vec![SocketAddr::new([192, 0, 2, last].into(), 1)]));
        let none = || Some(Ok(vec![]));
        let limit = |found: &[Lookups]| {
            let mut limits = Limits::new(start, bound);
            limits.shorten(at(100), found, &BOTH);
            limits.deadline(found, &BOTH)
        };
        assert_eq!(limit(&[vec![None, None]]), Some(at(5_000)));
        assert_eq!(limit(&[vec![none(), None]]), Some(at(5_000)), "a host of the other family only");
        assert_eq!(limit(&[vec![address(1), None]]), Some(at(1_100)));
        assert_eq!(limit(&[vec![address(1), None], vec![None, None]]), Some(at(2_500)));
        assert_eq!(limit(&[vec![address(1), None], vec![address(2), None]]), Some(at(1_100)));
        assert_eq!(limit(&[vec![address(1), none()], vec![address(2), none()], vec![None, None]]), Some(at(250)));
        assert_eq!(limit(&[vec![address(1), none()], vec![address(2), none()], vec![address(3), None]]), Some(at(250)));
        assert_eq!(limit(&[vec![address(1), none()]]), None);
        let mut short = Limits::new(start, Duration::from_millis(600));
        let found = [vec![address(1), None]];
        short.shorten(at(100), &found, &BOTH);
        assert_eq!(short.deadline(&found, &BOTH), Some(at(300)), "half of the time stays for the measurement");
    }

    #[test]
    fn a_name_without_an_address_of_any_family_is_no_name_of_the_other_family() {
        let of = |lookups: Lookups| match addresses(lookups, &BOTH) {
            Err(UnresolvedReason::Failed(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(&*of(vec![Some(Ok(vec![])), Some(Ok(vec![]))]), "the name has no address");
        assert_eq!(&*of(vec![Some(Ok(vec![])), Some(Err("refused".into()))]), "refused");
        assert!(matches!(addresses(vec![Some(Ok(vec![])), None], &BOTH), Err(UnresolvedReason::TimedOut)));
        assert!(matches!(addresses(vec![Some(Ok(vec![]))], &BOTH[..1]), Err(UnresolvedReason::OtherFamily)));
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
    async fn a_resolver_that_hangs_gets_one_thread_for_each_family_of_a_name_in_all_rounds() {
        let hanging = Arc::new(Hanging(AtomicUsize::new(0)));
        let mut resolver = Resolver::new(hanging.clone(), &BOTH);
        let list = names(&["a.example", "b.example:1", "b.example:2"]);
        for _ in 0..50 {
            assert_eq!(resolver.resolve(&list, Duration::from_secs(1)).await.unresolved.len(), 3);
        }
        assert_eq!(resolver.running.len(), 4);
        assert!(hanging.0.load(Ordering::SeqCst) <= 4);
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
        let mut resolver = Resolver::new(Arc::new(Counting(AtomicUsize::new(1))), &[Family::V4]);
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
