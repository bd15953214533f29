//! Measures the simulator: a client behind a NAT sends fifty requests to two servers, again and again.
//!
//! ```text
//! cargo run --release -p portolan-sim --example throughput [seconds]
//! ```
//!
//! The example prints runs and packets a second on one core, and the client's share of a run. The target is a whole
//! classification of a NAT, setup and teardown included, in 20 to 50 µs.

use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{
    Cx, Deadline, Input, Instant, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent, SocketId, SocketOrder,
    Transmit, Verdict,
};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Gateway, Link, Net, Server};
use portolan_stun::{Class, Message, Method, Writer};

const SERVERS: [&str; 2] = ["192.0.2.1:3478", "198.51.100.1:3478"];
const QUESTIONS: u32 = 50;

/// Sends requests to the servers in turn, every 10 ms, from one socket, and counts the responses.
struct Client {
    out: Outbox<Never>,
    servers: [SocketAddr; 2],
    socket: Option<SocketId>,
    asked: u32,
    answered: u32,
    next: Option<Instant>,
}

impl Client {
    fn new(servers: [SocketAddr; 2]) -> Self {
        Self { out: Outbox::new(), servers, socket: None, asked: 0, answered: 0, next: Some(Instant::ORIGIN) }
    }

    fn send_request(&mut self, cx: &mut Cx<'_>) {
        let Some(socket) = self.socket else { return };
        let mut buffer = [0; 64];
        let Ok(writer) = Writer::new(&mut buffer, Class::Request, Method::BINDING, cx.random::<12>().into()) else {
            return;
        };
        let [first, second] = self.servers;
        let to = if self.asked.is_multiple_of(2) { first } else { second };
        self.out.push(Output::Transmit(Transmit::new(socket, to, Bytes::copy_from_slice(writer.finish()))));
        self.asked += 1;
        self.next = (self.asked < QUESTIONS).then(|| cx.now() + Duration::from_millis(10));
    }
}

impl Machine for Client {
    type Command = Never;
    type Error = Never;
    type Event = Never;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Timeout if self.socket.is_none() => {
                let (id, any) = (cx.next_socket(), SocketAddr::from(([0, 0, 0, 0], 0)));
                let [first, _] = self.servers;
                self.out.push(Output::Socket(SocketOrder::Open(Open::new(id, Protocol::Udp, any).towards(first))));
                self.next = None;
            }
            Input::Timeout => self.send_request(cx),
            Input::Socket(id, SocketEvent::Opened { .. }) => {
                self.socket = Some(id);
                self.send_request(cx);
            }
            Input::Datagram(d) => {
                let answer = Message::decode(d.payload).ok();
                self.answered += u32::from(answer.and_then(|answer| answer.xor_mapped_address()).is_some());
            }
            Input::Socket(..) => return Verdict::NotMine,
        }
        Verdict::Mine
    }

    fn poll(&mut self) -> Output<Never> {
        self.out.pop().unwrap_or_else(|| Output::Wait(self.next.map(|at| Deadline::new(at, "next question"))))
    }
}

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(2), |text| text.parse())?;
    let link = Link::delay(Duration::from_millis(25)).loss(0.05);
    let servers = [SERVERS[0].parse()?, SERVERS[1].parse()?];
    let outside: IpAddr = "203.0.113.7".parse()?;

    let mut net = Net::new(0);
    let inside = net.add_gateway(net.internet(), Gateway::new("home", [outside], TranslatorConfig::home()), &link);
    let host = net.add_host(inside, "client", &["10.0.0.2".parse()?], &Link::PERFECT, Client::new(servers));
    net.add_server(net.internet(), Server::new("one", servers[0]).alternate("192.0.2.2:3479".parse()?), &Link::PERFECT);
    net.add_server(net.internet(), Server::new("two", servers[1]), &Link::PERFECT);

    let (mut runs, mut packets, mut lost, mut answers) = (0_u64, 0_u64, 0_u64, 0_u64);
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        // The clock is read once in a hundred runs, so that its cost does not count.
        for _ in 0..100 {
            runs += 1;
            net.reset(runs);
            net.replace(host, Client::new(servers));
            let _idle = net.run_for(Duration::from_secs(5));
            let (up, down) = net.uplink_stats(inside);
            packets += up.sent + down.sent;
            lost += up.lost + down.lost;
            answers += net.machine(host).map_or(0, |client| u64::from(client.answered));
        }
    }
    let elapsed = start.elapsed().as_secs_f64();
    println!("runs a second on one core   {:>9.0}", runs as f64 / elapsed);
    println!("time of a run               {:>9.1} µs", elapsed * 1e6 / runs as f64);
    println!("packets in a run            {:>9.1}", packets as f64 / runs as f64);
    println!("time of a packet            {:>9.0} ns, client and server included", elapsed * 1e9 / packets as f64);
    println!("answers in a run            {:>9.1} of {QUESTIONS}", answers as f64 / runs as f64);
    println!("loss measured               {:>9.2} %", 100.0 * lost as f64 / packets as f64);
    Ok(())
}
