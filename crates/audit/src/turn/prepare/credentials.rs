//! The requests that attack the authentication and the integrity.
//!
//! Rules of this file: each request has a defect that its name states.

use super::super::plan::CredentialStep;
use super::super::request::{Account, Challenge, Flavor};
use super::{Attribute, Cx, LIFETIME, Method, Obstacle, Prepared, Seat, TurnAudit, UDP, plan};

impl TurnAudit {
    pub(super) fn credentials(&self, cx: &mut Cx<'_>, step: CredentialStep) -> Result<Prepared, Obstacle> {
        match step {
            CredentialStep::WrongPassword => self.wrong_password(cx),
            CredentialStep::UnauthenticatedState if self.client(Seat::Third).challenge.is_none() => {
                Err(Obstacle::NotOffered)
            }
            CredentialStep::UnauthenticatedState => self.ask(cx, Seat::Third, Method::REFRESH, &[LIFETIME]),
            CredentialStep::ForeignNonce => {
                self.with_challenge(cx, Seat::Third, self.client(Seat::Main).challenge.as_ref())
            }
            CredentialStep::BidDownAlgorithms => self.fewer_algorithms(cx),
            CredentialStep::BidDownCookie => {
                let challenge = self.client(Seat::Main).challenge.as_ref();
                self.with_challenge(cx, Seat::Main, challenge.and_then(Challenge::without_features).as_ref())
            }
            CredentialStep::OtherUserChallenge if self.config.other.is_none() => Err(Obstacle::NoOtherUser),
            CredentialStep::OtherUserChallenge => self.unsigned(cx, Seat::Main, Method::REFRESH, &[]),
            CredentialStep::OtherUser(method) => self.other_user(cx, method),
            CredentialStep::AfterIntegrity => {
                self.ask_with(cx, Method::REFRESH, &[LIFETIME], Flavor { zero_after: true, ..Flavor::default() })
            }
            CredentialStep::DuplicateLifetime => {
                self.ask(cx, Seat::Main, Method::REFRESH, &[LIFETIME, Attribute::Lifetime(0)])
            }
            CredentialStep::StillThere(attack) if self.facts.attacked != Some(attack) => Err(Obstacle::NotOffered),
            CredentialStep::StillThere(_) => self.ask(cx, Seat::Main, Method::REFRESH, &[LIFETIME]),
        }
    }

    fn wrong_password(&self, cx: &mut Cx<'_>) -> Result<Prepared, Obstacle> {
        let challenge = self.client(Seat::Main).challenge.as_ref().ok_or(Obstacle::NotOffered)?;
        let wrong = Account { name: self.config.user.name.clone(), password: "not the password".into() };
        Self::signed_by(cx, Seat::Main, (Method::ALLOCATE, &[UDP]), (&wrong, challenge), Flavor::default())
    }

    fn fewer_algorithms(&self, cx: &mut Cx<'_>) -> Result<Prepared, Obstacle> {
        let challenge = self.client(Seat::Main).challenge.as_ref();
        if challenge.is_none_or(|challenge| !challenge.has_choice) {
            return Err(Obstacle::NotOffered);
        }
        self.ask_with(cx, Method::REFRESH, &[LIFETIME], Flavor { fewer_algorithms: true, ..Flavor::default() })
    }

    fn other_user(&self, cx: &mut Cx<'_>, method: Method) -> Result<Prepared, Obstacle> {
        let other = self.config.other.as_ref().ok_or(Obstacle::NoOtherUser)?;
        let challenge = self.facts.other.as_ref().ok_or(Obstacle::NotOffered)?;
        let second = self.client(Seat::Second).relayed.or(self.client(Seat::Main).relayed);
        let peer = Attribute::XorPeerAddress(second.ok_or(Obstacle::NoControl)?);
        let bind = [Attribute::ChannelNumber(plan::CHANNEL + 3), peer];
        let attributes: &[Attribute<'_>] = match method {
            Method::CREATE_PERMISSION => &[peer],
            Method::CHANNEL_BIND => &bind,
            _ => &[Attribute::Lifetime(0)],
        };
        Self::signed_by(cx, Seat::Main, (method, attributes), (other, challenge), Flavor::default())
    }

    /// A Refresh request with this challenge.
    fn with_challenge(&self, cx: &mut Cx<'_>, seat: Seat, challenge: Option<&Challenge>) -> Result<Prepared, Obstacle> {
        let challenge = challenge.ok_or(Obstacle::NotOffered)?;
        Self::signed_by(cx, seat, (Method::REFRESH, &[LIFETIME]), (&self.config.user, challenge), Flavor::default())
    }

    /// A request of the main client in a variant.
    fn ask_with(
        &self,
        cx: &mut Cx<'_>,
        method: Method,
        attributes: &[Attribute<'_>],
        flavor: Flavor,
    ) -> Result<Prepared, Obstacle> {
        let challenge = self.client(Seat::Main).challenge.as_ref().ok_or(Obstacle::NotOffered)?;
        Self::signed_by(cx, Seat::Main, (method, attributes), (&self.config.user, challenge), flavor)
    }
}
