//! The machine that `portolan stun` drives: one socket, one request of [`Transactions`] on it.
//!
//! Rules of this file: nothing is decided here; what the transaction sends and hears is told on, so that it can be shown.

use alloc::sync::Arc;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Input, Machine, Never, Open, Outbox, Output, Protocol, Refusal, SocketId, SocketNews, SocketOrder,
    Verdict,
};
use portolan_stun_agent::{Credential, Request, RequestError, Schedule, TransactionEvent, Transactions};

/// One request to one server.
#[derive(Debug)]
pub(super) struct Ask {
    server: SocketAddr,
    protocol: Protocol,
    proven: Option<Arc<str>>,
    timeout: Duration,
    credential: Option<Credential>,
    transactions: Transactions<u8>,
    out: Outbox<Told>,
    socket: Option<SocketId>,
}

/// What happens.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// The socket is there.
    Opened(SocketAddr),
    /// It could not be made.
    Refused(Refusal),
    /// The request could not be made.
    NotAsked(RequestError),
    /// This was sent.
    Sent(Bytes),
    /// Something came from the server, be it what it may.
    Heard,
    /// What became of the request.
    Outcome(TransactionEvent<u8>),
}

impl Ask {
    /// Asks `server`, which over TLS proves that it is `proven`; given up after `timeout`. A credential proves who asks.
    pub(super) fn new(
        server: SocketAddr,
        protocol: Protocol,
        proven: Option<Arc<str>>,
        timeout: Duration,
        credential: Option<Credential>,
    ) -> Self {
        let transactions = Transactions::new();
        Self { server, protocol, proven, timeout, credential, transactions, out: Outbox::new(), socket: None }
    }

    /// Opens the socket; the request follows.
    pub(super) fn start(&mut self, cx: &mut Cx<'_>) {
        let any: IpAddr = match self.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let id = cx.next_socket();
        self.socket = Some(id);
        let mut open = Open::new(id, self.protocol, SocketAddr::new(any, 0)).towards(self.server);
        open.server_name.clone_from(&self.proven);
        self.out.push(Output::Socket(SocketOrder::Open(open)));
    }

    fn opened(&mut self, cx: &mut Cx<'_>, socket: SocketId, local: SocketAddr) {
        self.out.push(Output::Event(Told::Opened(local)));
        let schedule = if self.protocol.is_stream() { Schedule::reliable(self.timeout) } else { Schedule::rfc8489() };
        // An answer need not have FINGERPRINT (RFC 8489 §7), so the request has none: it would ask for it.
        let request = Request::binding(socket, self.server, 0).schedule(schedule);
        let asked = match self.credential.take() {
            Some(credential) => self.transactions.request_with(cx, request, credential),
            None => self.transactions.request(cx, request),
        };
        if let Err(why) = asked {
            self.out.push(Output::Event(Told::NotAsked(why)));
        }
    }
}

impl Machine for Ask {
    type Command = Never;
    type Error = Never;
    type Event = Told;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        if let Input::Socket(id, news) = input
            && Some(id) == self.socket
        {
            match news {
                SocketNews::Opened { local } => self.opened(cx, id, local),
                SocketNews::Refused(why) => self.out.push(Output::Event(Told::Refused(why))),
                SocketNews::Accepted { .. }
                | SocketNews::Unreachable { .. }
                | SocketNews::Full
                | SocketNews::Writable
                | SocketNews::Closed(_) => {}
            }
        }
        if matches!(input, Input::Datagram(datagram) if datagram.remote == self.server) {
            self.out.push(Output::Event(Told::Heard));
        }
        self.transactions.handle(cx, input)
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        self.transactions.stream(cx, chunk)
    }

    fn poll(&mut self) -> Output<Told> {
        if let Some(output) = self.out.pop() {
            return output;
        }
        match self.transactions.poll() {
            Output::Transmit(transmit) => {
                self.out.push(Output::Event(Told::Sent(transmit.payload.clone())));
                Output::Transmit(transmit)
            }
            Output::Event(event) => Output::Event(Told::Outcome(event)),
            Output::Socket(order) => Output::Socket(order),
            Output::Wait(until) => Output::Wait(until),
        }
    }
}
