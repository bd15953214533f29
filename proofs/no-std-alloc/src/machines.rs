//! The contract, the words, and the laws on a machine.

use alloc::string::ToString;
use core::net::SocketAddr;
use portolan_machine::{
    Cx, Deadline, Input, Instant, Machine, Never, Outbox, Output, Pair, Script, SocketId, Transmit, Verdict,
};
use portolan_nat::behavior::Mapping;
use portolan_sim::laws::{self, Context, Step};

/// Sends every datagram back and is woken once, ten seconds after the first.
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
            Input::Datagram(came) if came.socket == SocketId(1) => {
                let answer = Transmit::new(came.socket, came.remote, came.payload.to_vec().into());
                let _room = self.out.offer(Output::Transmit(answer));
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

/// `machine`: a command's text is read, and refused.
pub fn prove_contract() -> bool {
    let read = <Pair<Echo, Echo> as Machine>::Command::read("first anything");
    read.is_err_and(|why| why.to_string() == "expected no command: this machine takes none")
}

/// `nat`: a word is read and written.
pub fn prove_words() -> bool {
    let word = "eim".parse::<Mapping>();
    word.is_ok_and(|word| word.to_string() == "endpoint-independent")
}

/// `sim`: the laws hold for a machine, and a recording of it comes back from its text.
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
