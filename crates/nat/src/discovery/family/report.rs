//! The report of a family.

use crate::behavior::{Filtering, Mapping};
use crate::profile::{Conclusion, Details, Evidence, FamilyReport, Path, Reachability, Unknown};
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::Instant;

use super::super::address;
use super::super::allocation::{self, Sample};
use super::super::doubt;
use super::super::mapping::Observation;
use super::FamilyRun;

impl FamilyRun {
    /// The report; the run must be over. `now`: the end of the run. `hairpin`: whether hairpinning was to be tested.
    pub(in super::super) fn report(&self, now: Instant, hairpin: bool) -> FamilyReport {
        let reach = self.state.end.unwrap_or(Reachability::Unknown);
        let tally = self.tally();
        FamilyReport {
            family: self.family,
            reach,
            public: self.mapping.public(&self.servers),
            local: self.mapping.local,
            nat: self.nat().or_else(|| self.untested_nat()),
            mapping: self.mapping.verdict.clone().unwrap_or_else(|| self.unmapped(now, reach)),
            filtering: self.filtering.verdict.clone().unwrap_or_else(|| self.unfiltered(now, reach)),
            details: self.details(hairpin),
            path: Path { rtt: self.filtering_rtt(), sent: tally.sent, answered: tally.answered },
            servers: self.servers.report(),
        }
    }

    /// The kind of NAT without a conclusion on filtering: none, if the host is not translated.
    fn untested_nat(&self) -> Option<crate::behavior::NatKind> {
        let translated = self.mapping.is_translated(&self.servers)?;
        Some(super::super::mapping_run::nat_kind(translated, None))
    }

    fn filtering_rtt(&self) -> Option<core::time::Duration> {
        let server = self.filtering.attempts.last()?.server;
        self.servers.get(server)?.rtt.or_else(|| self.servers.in_use().find_map(|(_, server)| server.rtt))
    }

    /// The reason why nothing was measured.
    fn why_not(&self, reach: Reachability) -> Unknown {
        match reach {
            Reachability::Blocked => Unknown::Blocked,
            Reachability::Unavailable(_) => Unknown::Offline,
            Reachability::Available | Reachability::Unknown if self.state.timed_out => Unknown::TimedOut,
            Reachability::Available | Reachability::Unknown => Unknown::ServerSilent,
        }
    }

    /// The mapping of a run that ended before its conclusion.
    fn unmapped(&self, now: Instant, reach: Reachability) -> Conclusion<Mapping> {
        match self.mapping.reason_so_far(&self.servers) {
            Some(why) => Conclusion::unknown(why, self.mapping.evidence(&self.servers)),
            None => self.unmeasured(now, reach),
        }
    }

    fn unmeasured<T>(&self, now: Instant, reach: Reachability) -> Conclusion<T> {
        let unreachable = self
            .servers
            .in_use()
            .filter_map(|(_, server)| Some(Evidence::Unreachable { to: server.address, why: server.unreachable? }));
        let mut evidence: Vec<Evidence> = unreachable.collect();
        evidence.extend(self.tcp.evidence(now));
        Conclusion::unknown(self.why_not(reach), evidence)
    }

    fn unfiltered(&self, now: Instant, reach: Reachability) -> Conclusion<Filtering> {
        let mut verdict = self.unmeasured(now, reach);
        verdict.evidence.extend(self.filtering.evidence(&self.servers));
        verdict
    }

    fn details(&self, hairpin: bool) -> Details {
        let mut samples = self.samples();
        let translated = self.mapping.is_translated(&self.servers);
        let no_nat = translated == Some(false);
        let verdict = self.hairpin.verdict.clone();
        Details {
            hairpin: verdict.unwrap_or_else(|| {
                let why = if hairpin { self.why_not(Reachability::Unknown) } else { Unknown::NotTested };
                Conclusion::unknown(why, Vec::new())
            }),
            port_allocation: if no_nat {
                Conclusion::unknown(Unknown::NoNat, Vec::new())
            } else {
                allocation::name(&mut samples)
            },
            port_preservation: self.port_preservation(no_nat),
            pooling: if no_nat {
                Conclusion::unknown(Unknown::NoNat, Vec::new())
            } else {
                allocation::pooling(&samples)
            },
            alg: self.alg(),
            multi_homed: self.multi_homed(),
            double_nat: self.double_nat(translated),
        }
    }

    /// Each mapping of this run, once, with the first server that showed it. Only mappings of one local address compare.
    pub(super) fn samples(&self) -> Vec<Sample> {
        let mut samples: Vec<Sample> = Vec::new();
        let is_same_interface = |other: SocketAddr| self.mapping.local.is_some_and(|local| local.ip() == other.ip());
        let mut add = |sample: Sample| {
            if samples.iter().all(|other| other.local != sample.local || other.external != sample.external) {
                samples.push(sample);
            }
        };
        if let Some(local) = self.mapping.local {
            for seen in self.mapping.observations.iter().filter(|seen| self.servers.is_trusted(seen.server)) {
                let Observation { server, mapped: external, order, .. } = *seen;
                add(Sample { server, local: local.port(), external, order });
            }
        }
        for attempt in self.filtering.attempts.iter().filter(|attempt| self.servers.is_trusted(attempt.server)) {
            if let (Some(local), Some(external)) = (attempt.local, attempt.control.seen.first())
                && is_same_interface(local)
            {
                add(Sample { server: attempt.server, local: local.port(), external, order: 0 });
            }
        }
        let ports = self
            .ports
            .samples()
            .filter(|(local, sample)| is_same_interface(*local) && self.servers.is_trusted(sample.server));
        ports.for_each(|(_, sample)| add(sample));
        samples
    }

    fn port_preservation(&self, no_nat: bool) -> Conclusion<bool> {
        let seen = self.mapping.observations.iter().find(|seen| self.servers.is_trusted(seen.server));
        match (seen, self.mapping.local) {
            _ if no_nat => Conclusion::unknown(Unknown::NoNat, Vec::new()),
            (Some(seen), Some(local)) => {
                let kept = seen.mapped.port() == local.port();
                let p_wrong = if kept { doubt::PORT_CHANCE } else { doubt::MIN_P_WRONG };
                let evidence = vec![Evidence::Mapped { local: local.port(), external: seen.mapped }];
                Conclusion::value_with(kept, p_wrong, evidence)
            }
            _ => Conclusion::unknown(Unknown::NoEvidence, Vec::new()),
        }
    }

    /// RFC 5780 §3.6: an ALG rewrote the plain address and not the XOR form.
    fn alg(&self) -> Conclusion<bool> {
        match self.mapping.twice {
            Some((plain, xored)) => {
                Conclusion::value_with(plain != xored, doubt::MIN_P_WRONG, vec![Evidence::Twice { plain, xored }])
            }
            None => Conclusion::unknown(Unknown::NoEvidence, Vec::new()),
        }
    }

    fn multi_homed(&self) -> Conclusion<bool> {
        let answered = self.servers.in_use().filter(|(_, server)| server.rtt.is_some()).count();
        match (self.mapping.local, self.mapping.other_local) {
            (Some(local), Some(other)) => {
                let evidence = [local, (other, local.port()).into()].map(|address| Evidence::Local { address });
                Conclusion::value_with(true, doubt::MIN_P_WRONG, evidence.into())
            }
            (Some(local), None) if answered > 1 => {
                Conclusion::value_with(false, doubt::SINGLE_SERVER, vec![Evidence::Local { address: local }])
            }
            _ => Conclusion::unknown(Unknown::NoEvidence, Vec::new()),
        }
    }

    fn double_nat(&self, translated: Option<bool>) -> Conclusion<bool> {
        match (self.mapping.local, translated) {
            (_, Some(false)) => Conclusion::unknown(Unknown::NoNat, Vec::new()),
            (Some(local), Some(true)) if address::is_carrier_side(local.ip()) => {
                Conclusion::value_with(true, doubt::SINGLE_SERVER, vec![Evidence::Local { address: local }])
            }
            // Any other local address is no evidence: a second NAT is not visible behind the first.
            _ => Conclusion::unknown(Unknown::NoEvidence, Vec::new()),
        }
    }
}
