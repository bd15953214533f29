//! The result of each step.
//!
//! Rules of this file: an attack is successful only if the server did what was asked. An error response that has another
//! reason than the attack is an obstacle, and so is a missing response. Each family of attacks has a file of its own.

mod credentials;
mod peers;
mod relay;

use super::attack::{Breach, Obstacle};
use super::plan::{RelayStep, Seat, Step};
use super::request::Challenge;
use super::{TurnAttack, TurnAudit, TurnAuditEvent, TurnAuditFailure};
use core::net::SocketAddr;
use portolan_stun::{Class, Message, Method};

/// The amplification that is a weakness, in tenths: the challenge of RFC 8489 with a realm of 30 bytes stays below it.
const LIMIT: usize = 80;

/// A response, and the step and the request that it answers.
#[derive(Clone, Copy, Debug)]
struct Answer<'a> {
    request: &'a [u8],
    message: &'a Message<'a>,
    method: Method,
    /// `None` for a success response.
    code: Option<u16>,
}

impl TurnAudit {
    /// Records that a step was not possible or had no response.
    pub(super) fn untested(&mut self, step: Step, why: Obstacle) {
        use super::plan::CredentialStep::StillThere;
        match step {
            // The steps after these check for the allocation or the control themselves.
            Step::OpenStream(_) | Step::Allocate(_) | Step::Release(_) => {}
            Step::Relay(RelayStep::Permit(_) | RelayStep::Bind) => {}
            // The TCP allocation decides.
            Step::Connect { seat: Seat::Main, .. } => {}
            Step::Challenge(Seat::Second | Seat::Third | Seat::Six | Seat::Tcp | Seat::TcpSix) => {}
            // The attack itself was recorded, or its result is missing.
            Step::Credentials(StillThere(_)) => {}
            Step::Relay(step) if step.is_control() => {}
            step => step.attack().into_iter().for_each(|attack| self.tally.not_testable(attack, why)),
        }
    }

    /// Records that no data arrived.
    pub(super) fn quiet(&mut self, step: Step) {
        let Some(attack) = step.attack() else { return };
        match step {
            Step::Relay(step) if step.is_control() => self.tally.revoke(attack, Obstacle::NoControl),
            _ => self.tally.held(attack),
        }
    }

    /// Records that data arrived.
    pub(super) fn arrived(&mut self, step: Step) {
        match step {
            Step::Relay(step) if step.is_control() => {}
            step => step.attack().into_iter().for_each(|attack| self.tally.not_held(attack, Breach::Relayed)),
        }
    }

    /// Records the answer to a message that must not be answered.
    pub(super) fn answered(&mut self, step: Step, length: usize) {
        step.attack().into_iter().for_each(|attack| self.tally.not_held(attack, Breach::Answered(length)));
    }

    /// Records the response to the request of a step. `code` is `None` for a success response.
    pub(super) fn judge(&mut self, step: Step, request: &[u8], message: &Message<'_>, code: Option<u16>) {
        let answer = Answer { request, message, method: message.method(), code };
        match step {
            Step::Challenge(seat) => self.challenged(seat, answer),
            Step::Allocate(seat) => self.allocated(seat, answer),
            Step::Binding => self.amplified(TurnAttack::BindingAmplification, answer),
            Step::Credentials(step) => self.credentials_judged(step, answer),
            Step::Relay(step) => self.relay_judged(step, answer),
            Step::Peer { of, seat, peer, .. } => self.peer_judged(of, seat, peer, answer),
            Step::Connect { seat, peer } => self.connect_judged(seat, peer, answer),
            // The result of a release is not used, and the other two have no response.
            Step::Release(_) | Step::OpenStream(_) | Step::Reflection(_) => {}
        }
    }

    fn challenged(&mut self, seat: Seat, answer: Answer<'_>) {
        let is_success = answer.message.class() == Class::SuccessResponse;
        let client = self.client_mut(seat);
        client.challenge = Challenge::of(answer.message, None).filter(|_| !is_success);
        if is_success {
            client.relayed = answer.message.xor_relayed_address();
        }
        if seat != Seat::Main {
            return;
        }
        if is_success {
            self.tally.not_held(TurnAttack::NoCredentials, Breach::Success(Method::ALLOCATE));
            self.tally.not_testable(TurnAttack::ChallengeAmplification, Obstacle::NotOffered);
        } else {
            self.tally.held(TurnAttack::NoCredentials);
            self.amplified(TurnAttack::ChallengeAmplification, answer);
        }
    }

    fn amplified(&mut self, attack: TurnAttack, answer: Answer<'_>) {
        let tenths = answer.message.as_bytes().len() * 10 / answer.request.len().max(1);
        if tenths >= LIMIT {
            self.tally.not_held(attack, Breach::Amplified(u32::try_from(tenths).unwrap_or(u32::MAX)));
        } else {
            self.tally.held(attack);
        }
    }

    fn allocated(&mut self, seat: Seat, answer: Answer<'_>) {
        let client = self.client_mut(seat);
        client.relayed = answer.message.xor_relayed_address().filter(|_| answer.code.is_none());
        client.refused = answer.code;
        if seat == Seat::Main && self.facts.attacked.is_none() && self.client(Seat::Main).relayed.is_none() {
            let code = answer.code.unwrap_or_default();
            self.end(TurnAuditEvent::Failed(TurnAuditFailure::NoAllocation(code)));
        }
    }

    /// Records the response to a request that must be refused for any reason.
    fn refusal_expected(&mut self, attack: TurnAttack, answer: Answer<'_>) {
        match answer.code {
            None => self.tally.not_held(attack, Breach::Success(answer.method)),
            // The limits of a server are no answer to the attack.
            Some(code @ (486 | 508 | 500)) => self.tally.not_testable(attack, Obstacle::Code(answer.method, code)),
            Some(_) => self.tally.held(attack),
        }
    }
}
