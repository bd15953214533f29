//! The result of each step.
//!
//! Rules of this file: an attack is successful only if the server did what was asked. An error response that has another
//! reason than the attack is an obstacle, and so is a missing response.

use super::attack::{Breach, Obstacle};
use super::plan::{Seat, Step};
use super::request::Challenge;
use super::{TurnAttack, TurnAudit, TurnAuditEvent, TurnAuditFailure};
use core::net::SocketAddr;
use portolan_stun::{Class, Message, Method};

/// The amplification that is a weakness, in tenths: the challenge of RFC 8489 with a realm of 30 bytes stays below it.
const LIMIT: usize = 80;

impl TurnAudit {
    /// Records that a step was not possible or had no response.
    pub(super) fn untested(&mut self, step: Step, why: Obstacle) {
        match step {
            // The steps after these check for the allocation or the control themselves.
            Step::Allocate(_) | Step::Permit(_) | Step::Release(_) | Step::Bind => {}
            // The attack itself was recorded, or its result is missing.
            Step::StillThere(_) => {}
            Step::Challenge(Seat::Second | Seat::Third | Seat::Six) => {}
            Step::Send { is_control: true, .. } | Step::ChannelData { is_control: true } => {}
            step => step.attack().into_iter().for_each(|attack| self.tally.not_testable(attack, why)),
        }
    }

    /// Records that no data arrived.
    pub(super) fn quiet(&mut self, step: Step) {
        let Some(attack) = step.attack() else { return };
        match step {
            Step::Send { is_control: true, .. } | Step::ChannelData { is_control: true } => {
                self.tally.revoke(attack, Obstacle::NoControl);
            }
            _ => self.tally.held(attack),
        }
    }

    /// Records that data arrived.
    pub(super) fn arrived(&mut self, step: Step) {
        match step {
            Step::Send { is_control: true, .. } | Step::ChannelData { is_control: true } => {}
            step => step.attack().into_iter().for_each(|attack| self.tally.not_held(attack, Breach::Relayed)),
        }
    }

    /// Records the answer to a message that must not be answered.
    pub(super) fn answered(&mut self, step: Step, length: usize) {
        step.attack().into_iter().for_each(|attack| self.tally.not_held(attack, Breach::Answered(length)));
    }

    /// Records the response to the request of a step. `code` is `None` for a success response.
    pub(super) fn judge(&mut self, step: Step, request: &[u8], message: &Message<'_>, code: Option<u16>) {
        let is_success = message.class() == Class::SuccessResponse;
        let method = message.method();
        if let Step::AfterIntegrity | Step::DuplicateLifetime | Step::OtherUser(_) = step {
            self.facts.attacked = step.attack();
        }
        if step == Step::WrongPassword && is_success {
            self.client_mut(Seat::Main).relayed = message.xor_relayed_address();
        }
        match step {
            Step::Challenge(seat) => self.challenged(seat, request, message, is_success),
            Step::OtherUserChallenge => {
                self.facts.other = Challenge::of(message, self.client(Seat::Main).challenge.as_ref());
            }
            Step::Binding => self.amplified(TurnAttack::BindingAmplification, request, message),
            Step::Allocate(seat) => self.allocated(seat, message, code),
            Step::UnauthenticatedState => match code {
                None => self.tally.not_held(TurnAttack::UnauthenticatedState, Breach::Success(method)),
                Some(437) => self.tally.held(TurnAttack::UnauthenticatedState),
                Some(code) => self.tally.not_testable(TurnAttack::UnauthenticatedState, Obstacle::Code(method, code)),
            },
            // 437 is the answer to a request whose nonce was accepted.
            Step::ForeignNonce => match code {
                None => self.tally.not_held(TurnAttack::ForeignNonce, Breach::Success(method)),
                Some(code @ 437) => self.tally.not_held(TurnAttack::ForeignNonce, Breach::Code(method, code)),
                Some(_) => self.tally.held(TurnAttack::ForeignNonce),
            },
            Step::AfterIntegrity | Step::DuplicateLifetime => {
                if message.lifetime() == Some(0) {
                    step.attack().into_iter().for_each(|attack| self.tally.not_held(attack, Breach::Ended));
                }
            }
            Step::StillThere(attack) => self.still_there(attack, method, code),
            Step::Peer { of, seat, peer, .. } => self.peer_judged(of, seat, (method, SocketAddr::new(peer, 9)), code),
            Step::Connect => self.connect_judged(code),
            Step::ChannelRange(number) => match code {
                None => self.tally.not_held(TurnAttack::ChannelRange, Breach::Channel(number)),
                Some(400) => self.tally.held(TurnAttack::ChannelRange),
                Some(code) => self.tally.not_testable(TurnAttack::ChannelRange, Obstacle::Code(method, code)),
            },
            Step::ListenerChannel => match code {
                None => {
                    let server = self.config.server;
                    self.tally.not_held(TurnAttack::OwnListener, Breach::Peer(method, server));
                }
                Some(_) => self.tally.held(TurnAttack::OwnListener),
            },
            Step::Bind => {
                if let Some(code) = code {
                    self.tally.not_testable(TurnAttack::ChannelRebinding, Obstacle::Code(method, code));
                }
            }
            Step::WrongPassword
            | Step::BidDownAlgorithms
            | Step::BidDownCookie
            | Step::OtherUser(_)
            | Step::RebindNumber
            | Step::RebindPeer => self.refusal_expected(step, method, code),
            Step::Release(_) | Step::Permit(_) => {}
            // These steps have no response.
            Step::Send { .. } | Step::ListenerSend(_) | Step::ChannelData { .. } | Step::Reflection(_) => {}
        }
    }

    fn challenged(&mut self, seat: Seat, request: &[u8], message: &Message<'_>, is_success: bool) {
        let challenge = Challenge::of(message, None);
        let relayed = message.xor_relayed_address();
        let client = self.client_mut(seat);
        client.challenge = challenge.filter(|_| !is_success);
        if is_success {
            client.relayed = relayed;
        }
        if seat != Seat::Main {
            return;
        }
        if is_success {
            self.tally.not_held(TurnAttack::NoCredentials, Breach::Success(Method::ALLOCATE));
            self.tally.not_testable(TurnAttack::ChallengeAmplification, Obstacle::NotOffered);
        } else {
            self.tally.held(TurnAttack::NoCredentials);
            self.amplified(TurnAttack::ChallengeAmplification, request, message);
        }
    }

    fn amplified(&mut self, attack: TurnAttack, request: &[u8], message: &Message<'_>) {
        let tenths = message.as_bytes().len() * 10 / request.len().max(1);
        if tenths >= LIMIT {
            self.tally.not_held(attack, Breach::Amplified(u32::try_from(tenths).unwrap_or(u32::MAX)));
        } else {
            self.tally.held(attack);
        }
    }

    fn allocated(&mut self, seat: Seat, message: &Message<'_>, code: Option<u16>) {
        self.client_mut(seat).relayed = message.xor_relayed_address().filter(|_| code.is_none());
        if seat == Seat::Main && self.facts.attacked.is_none() && self.client(Seat::Main).relayed.is_none() {
            self.end(TurnAuditEvent::Failed(TurnAuditFailure::NoAllocation(code.unwrap_or_default())));
        }
    }

    fn still_there(&mut self, attack: TurnAttack, method: Method, code: Option<u16>) {
        match code {
            None => self.tally.held(attack),
            Some(437) => {
                self.tally.not_held(attack, Breach::Ended);
                self.client_mut(Seat::Main).relayed = None;
            }
            Some(code) => self.tally.not_testable(attack, Obstacle::Code(method, code)),
        }
    }

    fn peer_judged(&mut self, of: TurnAttack, seat: Seat, (method, peer): (Method, SocketAddr), code: Option<u16>) {
        match code {
            None => self.tally.not_held(of, Breach::Peer(method, peer)),
            // A server can treat an address with an IPv4 address inside as one of the other family, and refuse it.
            Some(443) if seat == Seat::Six => self.tally.held(of),
            Some(403 | 400) => self.tally.held(of),
            Some(code) => self.tally.not_testable(of, Obstacle::Code(method, code)),
        }
    }

    fn connect_judged(&mut self, code: Option<u16>) {
        let peer = SocketAddr::new(super::plan::LOOPBACK, 9);
        match code {
            // 447: the connection was tried, and failed (RFC 6062 §5.2).
            None | Some(447) => self.tally.not_held(TurnAttack::ConnectPeer, Breach::Connected(peer)),
            Some(403) => self.tally.held(TurnAttack::ConnectPeer),
            Some(_) => self.tally.not_testable(TurnAttack::ConnectPeer, Obstacle::NoTcpAllocation),
        }
    }

    fn refusal_expected(&mut self, step: Step, method: Method, code: Option<u16>) {
        let Some(attack) = step.attack() else { return };
        match code {
            None => self.tally.not_held(attack, Breach::Success(method)),
            // The limits of a server are no answer to the attack.
            Some(code @ (486 | 508 | 500)) => self.tally.not_testable(attack, Obstacle::Code(method, code)),
            Some(_) => self.tally.held(attack),
        }
    }
}
