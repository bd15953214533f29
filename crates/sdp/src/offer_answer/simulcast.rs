//! Simulcast in the answer: the streams (RFC 8853 §5.3.2) and their `rid`s (RFC 8851 §6.2.2, §6.3).
//!
//! Rules of this file: a stream that the offerer sends is answered as received, and the other way round. An encoding
//! without answered formats is dropped, and a stream without encodings is dropped.

use super::capabilities::Features;
use super::codecs::Choice;
use super::section::Rtp;
use crate::attribute::{Direction, Rid, RidDirection, SimulcastId, Streams};
use crate::work::look;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

/// The simulcast part of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Versions<'s> {
    /// The streams that the answerer sends, each with its alternatives.
    pub(super) send: Vec<Vec<SimulcastId<'s>>>,
    /// The streams that the answerer receives.
    pub(super) recv: Vec<Vec<SimulcastId<'s>>>,
    pub(super) rids: Vec<Answered<'s>>,
}

/// One `a=rid` of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered<'s> {
    offered: Rid<'s>,
    /// The offered formats that are answered; empty: all formats of the section.
    payloads: Vec<u8>,
}

/// Returns the simulcast part of the answer to an offer.
pub(super) fn answer<'s>(
    rtp: &Rtp<'s>,
    features: Features,
    direction: Direction,
    choice: &Choice<'_, '_>,
) -> Versions<'s> {
    let mut versions = Versions::default();
    let Some(simulcast) = rtp.simulcast() else { return versions };
    let mut known = BTreeMap::new();
    // A `rid` that occurs twice is invalid: none of its lines is answered (RFC 8851 §6.2.2).
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for rid in &rtp.rids {
        look(rid.id.len());
        *count.entry(rid.id).or_default() += 1;
    }
    for rid in rtp.rids.iter().filter(|rid| count.get(rid.id) == Some(&1) && is_understood(rid)) {
        let payloads: Vec<u8> = rid.payload_types().filter(|payload| choice.has_payload(*payload)).collect();
        // All formats of the `rid` are dropped.
        if payloads.is_empty() && rid.payload_types().next().is_some() {
            continue;
        }
        known.insert(rid.id, Answered { offered: **rid, payloads });
    }
    if features.receives_simulcast && direction.receives() {
        versions.recv = kept(simulcast.send, RidDirection::Send, &known);
    }
    if features.sends_simulcast && direction.sends() {
        versions.send = kept(simulcast.recv, RidDirection::Recv, &known);
    }
    let used: BTreeSet<&str> =
        versions.send.iter().chain(&versions.recv).flatten().map(|version| version.rid).collect();
    versions.rids = known.into_values().filter(|rid| used.contains(rid.offered.id)).collect();
    versions
}

/// An encoding that the answerer sends must be understood with all its restrictions. The restrictions of a received
/// encoding concern the sender (RFC 8851 §6.3).
fn is_understood(rid: &Rid<'_>) -> bool {
    // RFC 8851 §5.
    const KNOWN: [&str; 8] = ["max-width", "max-height", "max-fps", "max-fs", "max-br", "max-pps", "max-bpp", "depend"];
    rid.direction == RidDirection::Send || rid.restrictions().all(|(name, _)| KNOWN.contains(&name))
}

/// Returns the streams with the remaining alternatives.
fn kept<'s>(
    streams: Option<Streams<'s>>,
    direction: RidDirection,
    known: &BTreeMap<&str, Answered<'s>>,
) -> Vec<Vec<SimulcastId<'s>>> {
    let is_known =
        |version: &SimulcastId<'_>| known.get(version.rid).is_some_and(|rid| rid.offered.direction == direction);
    let streams = streams.iter().flat_map(Streams::iter);
    let streams = streams.map(|alternatives| alternatives.iter().filter(is_known).collect::<Vec<_>>());
    streams.filter(|alternatives| !alternatives.is_empty()).collect()
}

impl Versions<'_> {
    pub(super) const fn is_empty(&self) -> bool {
        self.send.is_empty() && self.recv.is_empty()
    }
}

/// Writes the text after `a=simulcast:`.
impl fmt::Display for Versions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (way, streams) in [("send", &self.send), ("recv", &self.recv)] {
            if streams.is_empty() {
                continue;
            }
            write!(f, "{separator}{way} ")?;
            for (index, alternatives) in streams.iter().enumerate() {
                f.write_str(if index > 0 { ";" } else { "" })?;
                for (index, version) in alternatives.iter().enumerate() {
                    f.write_str(if index > 0 { "," } else { "" })?;
                    write!(f, "{}{}", if version.is_paused { "~" } else { "" }, version.rid)?;
                }
            }
            separator = " ";
        }
        Ok(())
    }
}

/// Writes the text after `a=rid:`; the restrictions are those of the offer (RFC 8851 §6.3).
impl fmt::Display for Answered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.offered.direction {
            RidDirection::Send => RidDirection::Recv,
            RidDirection::Recv => RidDirection::Send,
        };
        write!(f, "{} {direction}", self.offered.id)?;
        let mut separator = " ";
        for (index, payload) in self.payloads.iter().enumerate() {
            write!(f, "{}{payload}", if index == 0 { " pt=" } else { "," })?;
            separator = ";";
        }
        for (name, value) in self.offered.restrictions() {
            write!(f, "{separator}{name}")?;
            value.iter().try_for_each(|value| write!(f, "={value}"))?;
            separator = ";";
        }
        Ok(())
    }
}
