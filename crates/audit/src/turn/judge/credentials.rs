//! The results of the attacks on the authentication and the integrity.
//!
//! Rules of this file: an attack that could end an allocation is judged by the Refresh request after it.

use super::super::plan::CredentialStep;
use super::{Answer, Breach, Challenge, Obstacle, Seat, TurnAttack, TurnAudit};

impl TurnAudit {
    pub(super) fn credentials_judged(&mut self, step: CredentialStep, answer: Answer<'_>) {
        match step {
            CredentialStep::WrongPassword => {
                if answer.code.is_none() {
                    self.client_mut(Seat::Main).relayed = answer.message.xor_relayed_address();
                }
                self.refusal_expected(TurnAttack::WrongPassword, answer);
            }
            CredentialStep::UnauthenticatedState => self.unauthenticated(answer),
            CredentialStep::ForeignNonce => self.foreign_nonce(answer),
            CredentialStep::BidDownAlgorithms | CredentialStep::BidDownCookie => {
                self.refusal_expected(TurnAttack::BidDown, answer);
            }
            CredentialStep::OtherUserChallenge => {
                self.facts.other = Challenge::of(answer.message, self.client(Seat::Main).challenge.as_ref());
            }
            CredentialStep::OtherUser(_) => {
                self.facts.attacked = Some(TurnAttack::OtherUser);
                self.refusal_expected(TurnAttack::OtherUser, answer);
            }
            CredentialStep::AfterIntegrity => self.lifetime_attacked(TurnAttack::AfterIntegrity, answer),
            CredentialStep::DuplicateLifetime => self.lifetime_attacked(TurnAttack::DuplicateAttribute, answer),
            CredentialStep::StillThere(attack) => self.still_there(attack, answer),
        }
    }

    fn unauthenticated(&mut self, Answer { method, code, .. }: Answer<'_>) {
        const ATTACK: TurnAttack = TurnAttack::UnauthenticatedState;
        match code {
            None => self.tally.not_held(ATTACK, Breach::Success(method)),
            Some(437) => self.tally.held(ATTACK),
            Some(code) => self.tally.not_testable(ATTACK, Obstacle::Code(method, code)),
        }
    }

    fn foreign_nonce(&mut self, Answer { method, code, .. }: Answer<'_>) {
        match code {
            None => self.tally.not_held(TurnAttack::ForeignNonce, Breach::Success(method)),
            // 437 is the answer to a request whose nonce was accepted.
            Some(code @ 437) => self.tally.not_held(TurnAttack::ForeignNonce, Breach::Code(method, code)),
            Some(_) => self.tally.held(TurnAttack::ForeignNonce),
        }
    }

    fn lifetime_attacked(&mut self, attack: TurnAttack, answer: Answer<'_>) {
        self.facts.attacked = Some(attack);
        if answer.message.lifetime() == Some(0) {
            self.tally.not_held(attack, Breach::Ended);
        }
    }

    fn still_there(&mut self, attack: TurnAttack, Answer { method, code, .. }: Answer<'_>) {
        match code {
            None => self.tally.held(attack),
            Some(437) => {
                self.tally.not_held(attack, Breach::Ended);
                self.client_mut(Seat::Main).relayed = None;
            }
            Some(code) => self.tally.not_testable(attack, Obstacle::Code(method, code)),
        }
    }
}
