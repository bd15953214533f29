//! The results of the requests between two allocations.
//!
//! Rules of this file: data has no response. Its result is its arrival.

use super::{Answer, Breach, Obstacle, RelayStep, TurnAttack, TurnAudit};

impl TurnAudit {
    pub(super) fn relay_judged(&mut self, step: RelayStep, answer: Answer<'_>) {
        let Answer { method, code, .. } = answer;
        match step {
            RelayStep::ChannelRange(number) => match code {
                None => self.tally.not_held(TurnAttack::ChannelRange, Breach::Channel(number)),
                Some(400) => self.tally.held(TurnAttack::ChannelRange),
                Some(code) => self.tally.not_testable(TurnAttack::ChannelRange, Obstacle::Code(method, code)),
            },
            RelayStep::ListenerChannel => match code {
                None => self.tally.not_held(TurnAttack::OwnListener, Breach::Peer(method, self.config.server)),
                Some(_) => self.tally.held(TurnAttack::OwnListener),
            },
            RelayStep::Bind => {
                if let Some(code) = code {
                    self.tally.not_testable(TurnAttack::ChannelRebinding, Obstacle::Code(method, code));
                }
            }
            RelayStep::RebindNumber | RelayStep::RebindPeer => {
                self.refusal_expected(TurnAttack::ChannelRebinding, answer);
            }
            // The permission is the control of later steps. The others have no response.
            RelayStep::Permit(_)
            | RelayStep::Send { .. }
            | RelayStep::ListenerSend(_)
            | RelayStep::ChannelData { .. } => {}
        }
    }
}
