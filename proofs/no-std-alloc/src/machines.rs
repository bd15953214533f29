//! Checks the contract, a value of `nat` as text, and the laws of a machine.

use alloc::string::ToString;
use core::net::SocketAddr;
use portolan_machine::{
    Cx, Deadline, Input, Instant, Machine, Never, Outbox, Output, Pair, Script, SocketId, Transmit, Verdict,
};
use portolan_nat::behavior::Mapping;
use portolan_sim::laws::{self, Context, Step};

/// Sends every datagram back, and has a deadline ten seconds after it.
#[derive(Default)]
struct Echo {
    out: Outbox<Never>,
    wake: Option<Instant>,
}

impl Machine for Echo {
    type Command = Never;
    type Error = Never;
    type Event = Never;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(datagram) if datagram.socket == SocketId(1) => {
                let echo = Transmit::new(datagram.socket, datagram.remote, datagram.payload.to_vec().into());
                let _room = self.out.offer(Output::Transmit(echo));
                self.wake = Some(cx.now() + core::time::Duration::from_secs(10));
                Verdict::Mine
            }
            Input::Timeout => {
                self.wake = self.wake.filter(|wake| *wake > cx.now());
                Verdict::Mine
            }
            Input::Datagram(_) | Input::Socket(..) => Verdict::NotMine,
        }
    }

    fn poll(&mut self) -> Output<Never> {
        self.out.pop().unwrap_or(Output::Wait(self.wake.map(|at| Deadline::new(at, "quiet"))))
    }
}

/// `machine`: the text of an unknown command is refused.
pub fn prove_contract() -> bool {
    let read = <Pair<Echo, Echo> as Machine>::Command::read("first anything");
    read.is_err_and(|why| why.to_string() == "expected no command: this machine takes none")
}

/// `nat`: a mapping behaviour is parsed and displayed.
pub fn prove_parse() -> bool {
    let mapping = "eim".parse::<Mapping>();
    mapping.is_ok_and(|mapping| mapping.to_string() == "endpoint-independent")
}

/// `sim`: a machine keeps the laws, and the text of a recording is parsed as the same recording.
pub fn prove_laws() -> bool {
    let Ok(peer) = "192.0.2.9:5000".parse::<SocketAddr>() else { return false };
    let datagram = Step::datagram(Instant::from_millis(20), SocketId(1), peer, peer, b"hello");
    let script = [datagram, Step::timeout(Instant::from_millis(500))];
    let context = Context { handed_in: &[SocketId(1)], ..Context::default() };
    let (recording, played) = laws::record(Echo::default(), &script, &context);
    let answered = played.iter().flat_map(|played| &played.outputs).count() == 1;
    answered
        && recording.to_string().parse() == Ok(recording)
        && laws::check_all(&Echo::default, &script, &context).is_ok()
}
