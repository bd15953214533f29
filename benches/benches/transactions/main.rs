//! Measures a request and its response while other requests are pending.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench transactions` prints a row for each number of pending
//! requests: the processor time of one request and its response (the least and the median of the rounds) and the
//! allocations. There are three cases: all pending requests go to one server, each goes to another server, or each
//! response arrives after the next request.
//!
//! With `-- --pending 100` only the row for 100 pending requests is measured. With `--pairs 1000` it makes 1000
//! requests without a clock, for a tool that counts instructions. The difference of two runs is the cost of the
//! additional requests.

#![expect(clippy::expect_used, reason = "a failed bench panics")]
#![expect(clippy::indexing_slicing, reason = "a failed bench panics")]

#[path = "../harness/allocations.rs"]
mod allocations;

use core::hint::black_box;
use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Cx, Datagram, Entropy, Input, Instant, Machine, Output, SocketId, SocketIds, Verdict};
use portolan_stun::{Attribute, Class, Method, Writer};
use portolan_stun_agent::{Request, Schedule, Transactions};
use rustix::time::{ClockId, clock_gettime};

/// The numbers of pending requests.
const PENDING: [usize; 5] = [0, 20, 100, 250, 10_000];
/// The requests of a round.
const PAIRS: u32 = 1_000;
/// The number of rounds. It is odd, so that a round is the median.
const ROUNDS: usize = 101;

const SOCKET: SocketId = SocketId(1);
const SERVER: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 3478);
const LOCAL: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 40_000);

/// A fast RNG whose ids do not repeat.
struct Xorshift(u64);

impl Entropy for Xorshift {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The servers of the pending requests, and the order of requests and responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    OneServer,
    OwnServers,
    Overlapping,
}

/// A client with pending requests.
struct Client {
    case: Case,
    /// The request whose response comes after the next request.
    open: Option<[u8; 12]>,
    transactions: Transactions<u32>,
    rng: Xorshift,
    ids: SocketIds,
    millis: u64,
    response: Vec<u8>,
}

impl Client {
    fn new(pending: usize, case: Case) -> Self {
        let limit = Transactions::<u32>::LIMIT.max(pending + 2);
        let mut buffer = [0; 64];
        let mut response = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, [0; 12].into())
            .expect("there is room for a header");
        response.add(&Attribute::XorMappedAddress(LOCAL)).expect("there is room for an address");
        let mut client = Self {
            case,
            open: None,
            transactions: Transactions::with_limit(limit),
            rng: Xorshift(0x9e37_79b9_7f4a_7c15),
            ids: SocketIds::new(),
            millis: 0,
            response: response.finish().to_vec(),
        };
        for number in 0..pending {
            let own = u16::try_from(number + 1).expect("a port for each");
            let port = if case == Case::OwnServers { own } else { SERVER.port() };
            let server = SocketAddr::new(SERVER.ip(), port);
            let long = Schedule::reliable(Duration::from_secs(1_000_000));
            client.request(Request::binding(SOCKET, server, 0).schedule(long));
            client.drain();
        }
        // The table of finished requests is full, as in a client that has run for some time.
        for _ in 0..2 * limit {
            client.pair();
        }
        assert_eq!(client.transactions.len(), pending + client.open.iter().count(), "each request got its response");
        client
    }

    fn request(&mut self, request: Request<u32>) -> [u8; 12] {
        let mut cx = Cx::new(Instant::from_millis(self.millis), &mut self.rng, &mut self.ids);
        let id = self.transactions.request(&mut cx, request).expect("there is room for a request");
        *id.as_bytes()
    }

    fn drain(&mut self) -> u32 {
        let mut outputs = 0;
        while !matches!(black_box(self.transactions.poll()), Output::Wait(_)) {
            outputs += 1;
        }
        outputs
    }

    /// Makes one request and passes in its response, or the response of the previous request.
    fn pair(&mut self) {
        self.millis += 1;
        let id = self.request(Request::binding(SOCKET, SERVER, 1));
        assert_eq!(self.drain(), 1, "the request");
        let answered = if self.case == Case::Overlapping { self.open.replace(id) } else { Some(id) };
        let Some(answered) = answered else { return };
        self.response[8..20].copy_from_slice(&answered);
        let mut cx = Cx::new(Instant::from_millis(self.millis), &mut self.rng, &mut self.ids);
        let datagram = Datagram::new(SOCKET, LOCAL, SERVER, &self.response);
        assert_eq!(self.transactions.handle(&mut cx, Input::Datagram(datagram)), Verdict::Mine);
        assert_eq!(self.drain(), 1, "the response");
    }
}

/// Returns the processor time of this thread, in nanoseconds.
fn now() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Returns the value of a command-line option.
fn option(name: &str) -> Option<usize> {
    let value = std::env::args().skip_while(|word| word != name).nth(1)?;
    Some(value.parse().unwrap_or_else(|why| panic!("{name}: {why}")))
}

fn main() {
    if let Some(pairs) = option("--pairs") {
        let mut client = Client::new(option("--pending").unwrap_or(0), Case::OneServer);
        (0..pairs).for_each(|_| client.pair());
        return;
    }
    let numbers = option("--pending").map_or_else(|| PENDING.to_vec(), |pending| vec![pending]);
    println!("a request and its response: least ns, median ns of {ROUNDS} rounds, allocations");
    for case in [Case::OneServer, Case::OwnServers, Case::Overlapping] {
        println!("{case:?}");
        let mut clients: Vec<_> = numbers.iter().map(|pending| Client::new(*pending, case)).collect();
        let mut rounds: Vec<_> = numbers.iter().map(|_| Vec::with_capacity(ROUNDS)).collect();
        for _ in 0..ROUNDS {
            for (client, rounds) in clients.iter_mut().zip(&mut rounds) {
                // Warms the caches for this client.
                (0..PAIRS / 10).for_each(|_| client.pair());
                let start = now();
                (0..PAIRS).for_each(|_| client.pair());
                rounds.push((now() - start) / f64::from(PAIRS));
            }
        }
        for ((pending, client), mut rounds) in numbers.iter().zip(&mut clients).zip(rounds) {
            rounds.sort_by(f64::total_cmp);
            let allocations = allocations::of(|| client.pair());
            println!("  {pending:>6} pending {:>9.0} {:>9.0} {allocations:>6.2}", rounds[0], rounds[ROUNDS / 2]);
        }
    }
}
