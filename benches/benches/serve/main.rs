//! Compares a Binding server with a UDP echo of the same driver, over loopback, in one run.
//!
//! `cargo bench --manifest-path benches/Cargo.toml --bench serve` runs both alternately on one thread. A client on
//! another thread keeps 64 requests in flight. The client needs two system calls for each request and is not faster
//! than the server, so the number of responses per second would measure the client. The measure is the processor time
//! of the server's thread for each response. The output is the median of seven rounds: the responses per second of
//! one core, and their ratio to those of the echo.

use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Input, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent, SocketOrder, Transmit, Verdict,
};
use portolan_stun::{Class, Method, Writer};
use portolan_stun_agent::{Responder, ResponderConfig, ResponderEvent};
use portolan_tokio::Driver;
use std::io::Write as _;
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, Sender, channel};

/// The requests of a round.
const REQUESTS: usize = 100_000;
/// The requests in flight.
const WINDOW: usize = 64;
/// The rounds of each server.
const ROUNDS: usize = 7;
/// The least ratio of the server's responses to those of the echo.
const GOAL: f64 = 0.85;

type Outcome<T> = Result<T, Box<dyn core::error::Error + Send + Sync>>;

/// Sends every datagram back.
#[derive(Default)]
struct Echo(Outbox<SocketAddr>);

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
                self.0.offer(Output::Transmit(back))
            }
            Input::Socket(_, SocketEvent::Opened { local }) => self.0.offer(Output::Event(local)),
            Input::Socket(..) | Input::Timeout => return Verdict::NotMine,
        };
        Verdict::Mine
    }

    fn poll(&mut self) -> Output<SocketAddr> {
        self.0.pop().unwrap_or(Output::Wait(None))
    }
}

/// Returns the processor time of this thread.
fn processor_time() -> Duration {
    let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(spent.tv_sec.unsigned_abs(), spent.tv_nsec.unsigned_abs() as u32)
}

/// Sends the address of the server and serves until the sender of `end_receiver` is dropped. Returns the processor
/// time.
fn serve<M: Machine>(
    driver: impl FnOnce() -> std::io::Result<Driver<M>>,
    bound: fn(M::Event) -> Option<SocketAddr>,
    address_sender: &Sender<SocketAddr>,
    end_receiver: &Receiver<()>,
) -> Outcome<Duration> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut driver = driver()?;
        let local = driver.run_until(bound).await;
        let before = processor_time();
        address_sender.send(local)?;
        let ended = std::sync::mpsc::TryRecvError::Disconnected;
        while end_receiver.try_recv() != Err(ended) {
            // There are no more events. The timeout lets the loop check whether the client has ended.
            let _quiet = tokio::time::timeout(Duration::from_millis(50), driver.next()).await;
        }
        Ok(processor_time() - before)
    })
}

fn echo() -> std::io::Result<Driver<Echo>> {
    let mut driver = Driver::new(Echo::default())?;
    driver.with(|echo, cx| {
        let open = Open::new(cx.next_socket(), Protocol::Udp, ([127, 0, 0, 1], 0).into());
        echo.0.push(Output::Socket(SocketOrder::Open(open)));
    });
    Ok(driver)
}

fn responder() -> std::io::Result<Driver<Responder>> {
    let config = ResponderConfig::new().listen(([127, 0, 0, 1], 0).into()).rate(None);
    let mut driver = Driver::new(Responder::new(&config).map_err(std::io::Error::other)?)?;
    driver.with(|responder, cx| responder.start(cx)).map_err(std::io::Error::other)?;
    Ok(driver)
}

/// Returns the responses per second of processor time of the server that `start` runs.
fn measure(start: impl FnOnce(Sender<SocketAddr>, Receiver<()>) -> Outcome<Duration> + Send) -> Outcome<f64> {
    let (address_sender, address_receiver) = channel();
    let (end_sender, end_receiver) = channel::<()>();
    std::thread::scope(|scope| {
        let server = scope.spawn(move || start(address_sender, end_receiver));
        let answers = address_receiver.recv().map_err(Into::into).and_then(run_client);
        drop(end_sender);
        let spent = server.join().map_err(|_| "the server panicked")??;
        Ok(answers? as f64 / spent.as_secs_f64())
    })
}

/// Sends the requests and receives the responses. Returns the number of responses.
fn run_client(server: SocketAddr) -> Outcome<usize> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut buffer = [0; 20];
    let request = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into())?.finish();
    let mut answer = [0; 128];
    for _ in 0..WINDOW {
        socket.send(request)?;
    }
    for _ in WINDOW..REQUESTS {
        socket.recv(&mut answer)?;
        socket.send(request)?;
    }
    for _ in 0..WINDOW {
        socket.recv(&mut answer)?;
    }
    Ok(REQUESTS)
}

fn main() -> Outcome<()> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let echo = measure(|address_sender, end_receiver| serve(echo, Some, &address_sender, &end_receiver))?;
        let bound = |event| if let ResponderEvent::Listening { local, .. } = event { Some(local) } else { None };
        let stun =
            measure(move |address_sender, end_receiver| serve(responder, bound, &address_sender, &end_receiver))?;
        rounds.push((stun / echo, echo, stun));
    }
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (Some(low), Some(middle), Some(high)) = (rounds.first(), rounds.get(ROUNDS / 2), rounds.last()) else {
        return Err("no round was run".into());
    };
    writeln!(
        std::io::stdout(),
        "on one core: echo {:.0}/s, Binding {:.0}/s: {:.2} of the echo, {:.2} to {:.2} over {ROUNDS} rounds (goal {GOAL})",
        middle.1,
        middle.2,
        middle.0,
        low.0,
        high.0
    )?;
    Ok(())
}
