//! The bare forwarder as a machine on the driver of this project: the cost of the driver without TURN.

use crate::Outcome;
use core::net::SocketAddr;
use portolan_machine::{
    Cx, Datagram, Forward, Input, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent, SocketId, SocketOrder,
    Transmit, Verdict,
};
use portolan_tokio::{Driver, DriverConfig};
use std::collections::HashMap;
use std::io::Write as _;

/// Forwards datagrams unchanged. The first datagram of a client opens its relay socket.
struct Forwarder {
    out: Outbox<()>,
    listener: SocketId,
    peer: SocketAddr,
    relays: HashMap<SocketAddr, SocketId>,
    clients: HashMap<SocketId, SocketAddr>,
}

impl Machine for Forwarder {
    type Command = Never;
    type Error = Never;
    type Event = ();

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(d) if d.socket == self.listener => {
                let relay = cx.next_socket();
                self.relays.insert(d.remote, relay);
                self.clients.insert(relay, d.remote);
                self.out.push(Output::Socket(SocketOrder::Open(Open::new(
                    relay,
                    Protocol::Udp,
                    (d.local.ip(), 0).into(),
                ))));
            }
            Input::Socket(relay, SocketEvent::Opened { local }) => {
                let Some(client) = self.clients.get(&relay) else { return Verdict::NotMine };
                let text = local.to_string().into_bytes();
                self.out.push(Output::Transmit(Transmit::new(self.listener, *client, text.into())));
            }
            Input::Datagram(_) | Input::Socket(..) | Input::Timeout => return Verdict::NotMine,
        }
        Verdict::Mine
    }

    fn forward<'a>(&mut self, _: &mut Cx<'_>, d: Datagram<'a>) -> Option<Forward<'a>> {
        if d.socket == self.listener {
            Some(Forward::new(*self.relays.get(&d.remote)?, self.peer, d.payload))
        } else {
            Some(Forward::new(self.listener, *self.clients.get(&d.socket)?, d.payload))
        }
    }

    fn poll(&mut self) -> Output<()> {
        self.out.pop().unwrap_or(Output::Wait(None))
    }
}

/// Forwards until the process is ended.
pub(crate) fn serve(address: SocketAddr, peer: SocketAddr) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let forwarder = Forwarder {
            out: Outbox::default(),
            listener: SocketId(u64::MAX),
            peer,
            relays: HashMap::new(),
            clients: HashMap::new(),
        };
        let config = DriverConfig::default().without_trace();
        let mut driver = Driver::with_config(forwarder, config)?;
        let (listener, _) = driver.adopt_udp(crate::server::bind(address)?)?;
        driver.with(|forwarder, _| forwarder.listener = listener);
        writeln!(std::io::stdout(), "ready")?;
        loop {
            driver.next().await;
        }
    })
}
