//! An agent with an application and a filter: what a test adds to the agent of a host.
//!
//! Rules of this file: the filter drops datagrams as a network does, before the agent. The application sends numbered data
//! on the path of the agent, and counts the data that arrives. Every request that leaves is recorded.

use core::ops::{Deref, DerefMut};
use core::time::Duration;
use portolan_ice::{Agent, AgentCommand, AgentConfig, AgentError, AgentEvent, ComponentId};
use portolan_machine::{Cx, Datagram, Deadline, Input, Instant, Machine, Outbox, Output, Transmit, Verdict};
use portolan_stun::{Attribute, AttributeType, Class, Message, TransactionId};

/// What a message is, for a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request { nominates: bool },
    Success,
    Error(u16),
    Other,
}

pub(crate) fn kind(payload: &[u8]) -> Kind {
    let Ok(message) = Message::decode(payload) else { return Kind::Other };
    match message.class() {
        Class::Request => Kind::Request { nominates: message.has(AttributeType::USE_CANDIDATE) },
        Class::SuccessResponse => Kind::Success,
        Class::ErrorResponse => match message.exempt().attribute(AttributeType::ERROR_CODE) {
            Some(Ok(Attribute::ErrorCode(error))) => Kind::Error(error.code()),
            _ => Kind::Error(0),
        },
        Class::Indication => Kind::Other,
    }
}

/// A message that left the host.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) kind: Kind,
    pub(crate) id: Option<TransactionId>,
}

/// Whether a received datagram is dropped.
pub(crate) type Filter = fn(Instant, &Datagram<'_>) -> bool;

pub(crate) struct Shim {
    agent: Agent,
    filter: Filter,
    pub(crate) sent: Vec<Sent>,
    pub(crate) received: Vec<(Instant, ComponentId, u32)>,
    /// Data that arrived although the agent does not know its source.
    pub(crate) foreign: u32,
    /// The number of data packets, and those that had no path.
    pub(crate) data: u32,
    pub(crate) unsent: u32,
    pub(crate) last_data: Option<Instant>,
    /// The next data, and the interval.
    flow: Option<(Instant, Duration)>,
    out: Outbox<AgentEvent>,
    now: Instant,
    components: Vec<ComponentId>,
}

impl Shim {
    pub(crate) fn new(config: AgentConfig) -> Self {
        let components = config.components().collect();
        Self {
            agent: Agent::new(config),
            filter: |_, _| false,
            sent: Vec::new(),
            received: Vec::new(),
            foreign: 0,
            data: 0,
            unsent: 0,
            last_data: None,
            flow: None,
            out: Outbox::new(),
            now: Instant::ORIGIN,
            components,
        }
    }

    pub(crate) fn set_filter(&mut self, filter: Filter) {
        self.filter = filter;
    }

    /// Sends data on every component at this interval from now on.
    pub(crate) fn send_data(&mut self, cx: &Cx<'_>, interval: Duration) {
        self.now = cx.now();
        self.flow = Some((cx.now(), interval));
    }

    pub(crate) fn stop_data(&mut self) {
        self.flow = None;
    }

    fn flow(&mut self, now: Instant) {
        self.now = now;
        let Some((next, interval)) = self.flow.filter(|(next, _)| *next <= now) else { return };
        self.flow = Some((next + interval, interval));
        for at in 0..self.components.len() {
            let Some(path) = self.agent.path(self.components[at]) else {
                self.unsent += 1;
                continue;
            };
            let bytes = [&[0x80, 0, 0, 0][..], &self.data.to_be_bytes()].concat();
            self.data += 1;
            self.last_data = Some(now);
            let transmit = Transmit::new(path.socket, path.remote, bytes.into()).with_local(path.base.ip());
            self.out.push(Output::Transmit(transmit));
        }
    }

    fn accept_data(&mut self, now: Instant, datagram: &Datagram<'_>) {
        let Some(component) = self.agent.component_of(datagram.socket, datagram.remote) else {
            self.foreign += 1;
            return;
        };
        if let Some(number) = datagram.payload.get(4..8) {
            self.received.push((now, component, u32::from_be_bytes(number.try_into().unwrap())));
        }
    }
}

impl Deref for Shim {
    type Target = Agent;
    fn deref(&self) -> &Agent {
        &self.agent
    }
}

impl DerefMut for Shim {
    fn deref_mut(&mut self) -> &mut Agent {
        &mut self.agent
    }
}

impl Machine for Shim {
    type Command = AgentCommand;
    type Error = AgentError;
    type Event = AgentEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: AgentCommand) -> Result<(), AgentError> {
        self.now = cx.now();
        self.agent.command(cx, command)
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        self.now = cx.now();
        self.flow(cx.now());
        let Input::Datagram(datagram) = input else { return self.agent.handle(cx, input) };
        if (self.filter)(cx.now(), &datagram) {
            return Verdict::Mine;
        }
        if self.agent.handle(cx, Input::Datagram(datagram)) == Verdict::NotMine && datagram.payload[0] == 0x80 {
            self.accept_data(cx.now(), &datagram);
        }
        Verdict::Mine
    }

    fn poll(&mut self) -> Output<AgentEvent> {
        if let Some(output) = self.out.pop() {
            return output;
        }
        let output = self.agent.poll();
        match output {
            Output::Transmit(transmit) => {
                let id = Message::decode(&transmit.payload).ok().map(|message| message.transaction_id());
                self.sent.push(Sent { at: self.now, kind: kind(&transmit.payload), id });
                Output::Transmit(transmit)
            }
            Output::Wait(wait) => {
                let flow = self.flow.map(|(next, _)| Deadline::new(next, "data"));
                Output::Wait(Deadline::earliest(wait, flow))
            }
            Output::Socket(_) | Output::Event(_) => output,
        }
    }
}
