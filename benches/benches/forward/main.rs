//! Compares two paths of an echo machine: `Machine::forward`, and `Machine::handle` with the output queue.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench forward` measures both paths alternately in one run. It
//! first measures the machine alone with the join buffer of its owner, then the whole driver over loopback. The
//! output is the processor time for each datagram (the median of the rounds and their range) and the allocations of a
//! round.

#[path = "../harness/allocations.rs"]
mod allocations;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Entropy, Forward, Input, Instant, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent,
    SocketId, SocketIds, SocketOrder, Transmit, Verdict,
};
use portolan_tokio::Driver;
use std::io::Write as _;
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, Sender, channel};

/// The length of a datagram in bytes: 20 ms of speech with its RTP header.
const LENGTH: usize = 172;
/// The datagrams of a round in memory.
const IN_MEMORY: u32 = 200_000;
/// The datagrams of a round over loopback.
const OVER_LOOPBACK: u32 = 100_000;
/// The datagrams in flight.
const WINDOW: u32 = 64;
/// The rounds of each path. The number is odd, so that a round is the median.
const ROUNDS: usize = 7;

type Outcome<T> = Result<T, Box<dyn core::error::Error + Send + Sync>>;

/// Sends every datagram back.
#[derive(Default)]
struct Echo {
    out: Outbox<SocketAddr>,
    forwards: bool,
}

impl Machine for Echo {
    type Command = Never;
    type Error = Never;
    type Event = SocketAddr;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let _room = match input {
            Input::Datagram(d) => {
                let back = Transmit::new(d.socket, d.remote, bytes::Bytes::copy_from_slice(d.payload));
                self.out.offer(Output::Transmit(back))
            }
            Input::Socket(_, SocketEvent::Opened { local }) => self.out.offer(Output::Event(local)),
            Input::Socket(..) | Input::Timeout => return Verdict::NotMine,
        };
        Verdict::Mine
    }

    fn forward<'a>(&mut self, _: &mut Cx<'_>, d: Datagram<'a>) -> Option<Forward<'a>> {
        self.forwards.then(|| Forward::new(d.socket, d.remote, d.payload))
    }

    fn poll(&mut self) -> Output<SocketAddr> {
        self.out.pop().unwrap_or(Output::Wait(None))
    }
}

/// The cost of one datagram.
#[derive(Clone, Copy)]
struct Cost {
    nanoseconds: f64,
    /// The allocations of the whole round.
    allocations: u64,
    datagrams: u32,
}

impl Cost {
    fn of(datagrams: u32, time: Duration, allocations: u64) -> Self {
        Self { nanoseconds: time.as_nanos() as f64 / f64::from(datagrams), allocations, datagrams }
    }
}

/// The costs of all rounds of one path.
struct Costs(Vec<Cost>);

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times: Vec<_> = self.0.iter().map(|cost| cost.nanoseconds).collect();
        times.sort_by(f64::total_cmp);
        let (Some(low), Some(middle), Some(high)) = (times.first(), times.get(times.len() / 2), times.last()) else {
            return f.write_str("no round was run");
        };
        let most = self.0.iter().map(|cost| cost.allocations).max().unwrap_or_default();
        let datagrams = self.0.first().map_or(0, |cost| cost.datagrams);
        write!(f, "{middle:>7.1} ns ({low:.1} to {high:.1}), at most {most} allocations for {datagrams} datagrams")
    }
}

/// Returns the processor time of this thread.
fn processor_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), spent.tv_nsec.unsigned_abs() as u32)
}

/// An RNG that returns zeros: the echo needs no random bytes.
struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(0);
    }
}

/// Measures the machine with an owner that joins the datagrams, as the driver does.
fn in_memory(forwards: bool) -> Cost {
    let mut echo = Echo { forwards, ..Echo::default() };
    let (mut entropy, mut ids) = (NoEntropy, SocketIds::new());
    let (local, remote) = (([127, 0, 0, 1], 3478).into(), ([127, 0, 0, 1], 40_000).into());
    let payload = [7; LENGTH];
    let mut joined = Vec::with_capacity(64 * LENGTH);
    let mut run = |datagrams: u32| {
        for _ in 0..datagrams {
            if joined.len() + LENGTH > joined.capacity() {
                joined.clear();
            }
            let mut cx = Cx::new(Instant::ORIGIN, &mut entropy, &mut ids);
            let datagram = Datagram::new(SocketId(1), local, remote, core::hint::black_box(&payload));
            if let Some(forward) = echo.forward(&mut cx, datagram) {
                forward.write_to(&mut joined);
            } else {
                let _mine = echo.handle(&mut cx, Input::Datagram(datagram));
            }
            while let Output::Transmit(transmit) = echo.poll() {
                joined.extend_from_slice(&transmit.payload);
            }
        }
    };
    run(1_000);
    let before = processor_time();
    let ((), allocations) = allocations::during(|| run(IN_MEMORY));
    Cost::of(IN_MEMORY, processor_time() - before, allocations)
}

/// Measures the whole driver. A client on another thread keeps datagrams in flight and does not allocate during the
/// measurement.
fn over_loopback(forwards: bool) -> Outcome<Cost> {
    let (address_sender, address_receiver) = channel();
    let (start_sender, start_receiver) = channel();
    let (end_sender, end_receiver) = channel::<()>();
    std::thread::scope(|scope| {
        let server = scope.spawn(move || serve(forwards, &address_sender, &start_sender, &end_receiver));
        let answers =
            address_receiver.recv().map_err(Into::into).and_then(|server| run_client(server, &start_receiver));
        drop(end_sender);
        let (time, allocations) = server.join().map_err(|_| "the server panicked")??;
        answers?;
        Ok(Cost::of(OVER_LOOPBACK, time, allocations))
    })
}

/// Serves until the sender of `end_receiver` is dropped. Returns the processor time and the allocations after the
/// warm-up.
fn serve(
    forwards: bool,
    address_sender: &Sender<SocketAddr>,
    start_sender: &Sender<()>,
    end_receiver: &Receiver<()>,
) -> Outcome<(Duration, u64)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut driver = Driver::new(Echo { forwards, ..Echo::default() })?;
        driver.with(|echo, cx| {
            let open = Open::new(cx.next_socket(), Protocol::Udp, ([127, 0, 0, 1], 0).into());
            echo.out.push(Output::Socket(SocketOrder::Open(open)));
        });
        address_sender.send(driver.next().await)?;
        // Buffers that grow have grown after the warm-up of the client.
        let _quiet = tokio::time::timeout(Duration::from_millis(200), driver.next()).await;
        start_sender.send(())?;
        let before = processor_time();
        allocations::start();
        let ended = std::sync::mpsc::TryRecvError::Disconnected;
        while end_receiver.try_recv() != Err(ended) {
            let _quiet = tokio::time::timeout(Duration::from_millis(50), driver.next()).await;
        }
        Ok((processor_time() - before, allocations::stop()))
    })
}

/// Sends and receives datagrams: first a warm-up, then the measured part when the server is ready.
fn run_client(server: SocketAddr, start_receiver: &Receiver<()>) -> Outcome<()> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    run(&socket, 10 * WINDOW)?;
    start_receiver.recv()?;
    run(&socket, OVER_LOOPBACK)?;
    Ok(())
}

fn run(socket: &UdpSocket, datagrams: u32) -> std::io::Result<()> {
    let (payload, mut answer) = ([7; LENGTH], [0; LENGTH]);
    for _ in 0..WINDOW {
        socket.send(&payload)?;
    }
    for _ in WINDOW..datagrams {
        socket.recv(&mut answer)?;
        socket.send(&payload)?;
    }
    for _ in 0..WINDOW {
        socket.recv(&mut answer)?;
    }
    Ok(())
}

fn main() -> Outcome<()> {
    let (mut memory, mut loopback) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
    for _ in 0..ROUNDS {
        for ((memory, loopback), forwards) in memory.iter_mut().zip(&mut loopback).zip([true, false]) {
            memory.push(in_memory(forwards));
            loopback.push(over_loopback(forwards)?);
        }
    }
    let mut out = std::io::stdout();
    writeln!(out, "for each datagram of {LENGTH} bytes, {ROUNDS} alternating rounds of each path")?;
    for (what, costs) in [("the machine alone", memory), ("the driver over loopback", loopback)] {
        let [forward, queue] = costs.map(Costs);
        writeln!(out, "{what}\n  forward  {forward}\n  queue    {queue}")?;
    }
    Ok(())
}
