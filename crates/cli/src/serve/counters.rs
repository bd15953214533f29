//! The counters of a TURN server or of a rendezvous, and their names as metrics.
//!
//! Rules of this file: [`FAMILIES`] is the one list of metrics. The page docs/metrics.md has the same names and texts,
//! and a test compares both. No metric has a label for each user or each address, because their number has no bound.

use super::worker::Order;
use core::time::Duration;
use portolan_punch::rendezvous::ServerStats as RendezvousStats;
use portolan_tokio::Counters;
use portolan_turn::ServerStats;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// The counters of one worker.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) server: ServerStats,
    pub(super) driver: Counters,
    /// The counters of the rendezvous; `None` for a TURN server.
    pub(super) rendezvous: Option<RendezvousStats>,
}

impl Snapshot {
    /// The allocations that exist.
    pub(super) const fn open(&self) -> u64 {
        self.server.allocations.saturating_sub(self.server.freed)
    }

    /// The counters of the rendezvous; zeros for a TURN server.
    fn rendezvous(&self) -> RendezvousStats {
        self.rendezvous.unwrap_or_default()
    }

    /// Whether the server has a metric of this name.
    #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "only metrics have names"))]
    pub(super) fn has(&self, name: &str) -> bool {
        let other = if self.rendezvous.is_some() { "portolan_turn_" } else { "portolan_rendezvous_" };
        !name.starts_with(other)
    }
}

/// The time in which each worker answers.
const PATIENCE: Duration = Duration::from_secs(5);

/// Returns the counters of each worker; `None` if a worker does not answer within 5 s.
pub(super) async fn snapshots(workers: &[mpsc::Sender<Order>]) -> Option<Vec<Snapshot>> {
    let ask = async {
        let mut asked = Vec::new();
        for worker in workers {
            let (reply, answer) = oneshot::channel();
            worker.send(Order::Snapshot(reply)).await.ok()?;
            asked.push(answer);
        }
        let mut snapshots = Vec::new();
        for answer in asked {
            snapshots.push(answer.await.ok()?);
        }
        Some(snapshots)
    };
    timeout(PATIENCE, ask).await.ok().flatten()
}

/// Returns the sum of one counter over all workers.
pub(super) fn sum(snapshots: &[Snapshot], value: impl Fn(&Snapshot) -> u64) -> u64 {
    snapshots.iter().map(value).sum()
}

/// A metric, or several with different values of one label.
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "only metrics use the whole list"))]
pub(super) struct Family {
    /// The name, without the suffix `_total` of a counter.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    /// The name of the label; empty for a metric without a label.
    pub(super) label: &'static str,
    pub(super) samples: &'static [Sample],
}

/// A value of the label, and the counter.
pub(super) type Sample = (&'static str, fn(&Snapshot) -> u64);

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "only metrics use the whole list"))]
pub(super) enum Kind {
    /// The value rises, and its name ends with `_total`.
    Counter,
    /// The value rises and falls.
    Gauge,
}

/// The metrics, in the order of the output.
#[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "only metrics use the whole list"))]
pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "portolan_turn_workers",
        help: "Workers that serve",
        kind: Kind::Gauge,
        label: "",
        samples: &[("", |_| 1)],
    },
    Family {
        name: "portolan_turn_allocations",
        help: "Allocations that exist",
        kind: Kind::Gauge,
        label: "",
        samples: &[("", Snapshot::open)],
    },
    Family {
        name: "portolan_turn_allocations_created",
        help: "Allocations that were created",
        kind: Kind::Counter,
        label: "",
        samples: &[("", |of| of.server.allocations)],
    },
    Family {
        name: "portolan_turn_requests",
        help: "Requests that could be decoded, Binding included",
        kind: Kind::Counter,
        label: "",
        samples: &[("", |of| of.server.requests)],
    },
    Family {
        name: "portolan_turn_bindings",
        help: "Success responses to Binding requests",
        kind: Kind::Counter,
        label: "",
        samples: &[("", |of| of.server.bindings)],
    },
    Family {
        name: "portolan_turn_successes",
        help: "Success responses to authenticated requests",
        kind: Kind::Counter,
        label: "",
        samples: &[("", |of| of.server.successes)],
    },
    Family {
        name: "portolan_turn_rejected",
        help: "Error responses to requests without valid credentials, by error code",
        kind: Kind::Counter,
        label: "code",
        samples: &[
            ("400", |of| of.server.rejected.bad_request),
            ("401", |of| of.server.rejected.unauthenticated),
            ("420", |of| of.server.rejected.unknown_attribute),
            ("438", |of| of.server.rejected.stale_nonce),
        ],
    },
    Family {
        name: "portolan_turn_refused",
        help: "Error responses to authenticated requests, by error code",
        kind: Kind::Counter,
        label: "code",
        samples: &[
            ("400", |of| of.server.refused.bad_request),
            ("403", |of| of.server.refused.forbidden),
            ("420", |of| of.server.refused.unknown_attribute),
            ("437", |of| of.server.refused.allocation_mismatch),
            ("440", |of| of.server.refused.address_family),
            ("441", |of| of.server.refused.wrong_credentials),
            ("442", |of| of.server.refused.transport),
            ("443", |of| of.server.refused.peer_family),
            ("446", |of| of.server.refused.connection_exists),
            ("447", |of| of.server.refused.connection_failed),
            ("486", |of| of.server.refused.quota),
            ("508", |of| of.server.refused.capacity),
        ],
    },
    Family {
        name: "portolan_turn_relayed_datagrams",
        help: "Relayed datagrams, by direction",
        kind: Kind::Counter,
        label: "to",
        samples: &[
            ("peer", |of| of.server.relayed.to_peers.datagrams),
            ("client", |of| of.server.relayed.to_client.datagrams),
        ],
    },
    Family {
        name: "portolan_turn_relayed_bytes",
        help: "Bytes of application data in relayed datagrams, by direction",
        kind: Kind::Counter,
        label: "to",
        samples: &[("peer", |of| of.server.relayed.to_peers.bytes), ("client", |of| of.server.relayed.to_client.bytes)],
    },
    Family {
        name: "portolan_turn_icmp_errors",
        help: "ICMP errors that were reported to clients",
        kind: Kind::Counter,
        label: "",
        samples: &[("", |of| of.server.icmp)],
    },
    Family {
        name: "portolan_turn_dropped",
        help: "Messages that were dropped without a response, by reason",
        kind: Kind::Counter,
        label: "reason",
        samples: &[
            ("invalid", |of| of.server.dropped.invalid),
            ("unaddressable", |of| of.server.dropped.unaddressable),
            ("rate_limited", |of| of.server.dropped.rate_limited),
            ("overload", |of| of.server.dropped.overload),
            ("pending", |of| of.server.dropped.pending),
            ("no_allocation", |of| of.server.dropped.no_allocation),
            ("no_permission", |of| of.server.dropped.no_permission),
            ("no_channel", |of| of.server.dropped.no_channel),
            ("forbidden", |of| of.server.dropped.forbidden),
            ("bandwidth", |of| of.server.dropped.bandwidth),
            ("too_long", |of| of.server.dropped.too_long),
            ("icmp", |of| of.server.dropped.icmp),
        ],
    },
    Family {
        name: "portolan_turn_streams",
        help: "Streams of clients and the limits that they met, by event",
        kind: Kind::Counter,
        label: "event",
        samples: &[
            ("accepted", |of| of.server.streams.accepted),
            ("refused", |of| of.server.streams.refused),
            ("displaced", |of| of.server.streams.displaced),
            ("broken", |of| of.server.streams.broken),
            ("idle", |of| of.server.streams.idle),
            ("paused", |of| of.server.streams.paused),
        ],
    },
    Family {
        name: "portolan_rendezvous_registrations",
        help: "Peers that are registered",
        kind: Kind::Gauge,
        label: "",
        samples: &[("", |of| of.rendezvous().registered.saturating_sub(of.rendezvous().ended))],
    },
    Family {
        name: "portolan_rendezvous_registered",
        help: "Peers that were registered",
        kind: Kind::Counter,
        label: "",
        samples: &[("", |of| of.rendezvous().registered)],
    },
    Family {
        name: "portolan_rendezvous_introduced",
        help: "Pairs of peers that were introduced",
        kind: Kind::Counter,
        label: "",
        samples: &[("", |of| of.rendezvous().introduced)],
    },
    Family {
        name: "portolan_rendezvous_requests",
        help: "Requests to the rendezvous that could be decoded",
        kind: Kind::Counter,
        label: "",
        samples: &[("", |of| of.rendezvous().requests)],
    },
    Family {
        name: "portolan_rendezvous_wakes",
        help: "Wakes that were sent to peers",
        kind: Kind::Counter,
        label: "",
        samples: &[("", |of| of.rendezvous().wakes)],
    },
    Family {
        name: "portolan_rendezvous_rejected",
        help: "Error responses to requests without valid credentials, by error code",
        kind: Kind::Counter,
        label: "code",
        samples: &[
            ("400", |of| of.rendezvous().rejected.bad_request),
            ("401", |of| of.rendezvous().rejected.unauthenticated),
            ("438", |of| of.rendezvous().rejected.stale_nonce),
        ],
    },
    Family {
        name: "portolan_rendezvous_refused",
        help: "Error responses to authenticated requests, by error code",
        kind: Kind::Counter,
        label: "code",
        samples: &[
            ("400", |of| of.rendezvous().refused.bad_request),
            ("420", |of| of.rendezvous().refused.unknown_attribute),
            ("480", |of| of.rendezvous().refused.room_full),
            ("486", |of| of.rendezvous().refused.quota),
            ("508", |of| of.rendezvous().refused.capacity),
        ],
    },
    Family {
        name: "portolan_rendezvous_dropped",
        help: "Requests that were dropped without a response, by reason",
        kind: Kind::Counter,
        label: "reason",
        samples: &[
            ("invalid", |of| of.rendezvous().dropped.invalid),
            ("unaddressable", |of| of.rendezvous().dropped.unaddressable),
            ("rate_limited", |of| of.rendezvous().dropped.rate_limited),
            ("too_short", |of| of.rendezvous().dropped.too_short),
            ("overload", |of| of.rendezvous().dropped.overload),
        ],
    },
    Family {
        name: "portolan_driver_dropped",
        help: "Data that the sockets could not send or receive, by reason",
        kind: Kind::Counter,
        label: "reason",
        samples: &[
            ("send_buffer_full", |of| of.driver.full),
            ("stream_full", |of| of.driver.stream_full),
            ("not_open", |of| of.driver.not_open),
            ("not_taken", |of| of.driver.not_mine),
        ],
    },
    Family {
        name: "portolan_driver_accept_failures",
        help: "Streams that were not accepted, by reason",
        kind: Kind::Counter,
        label: "reason",
        samples: &[
            ("source_limit", |of| of.driver.too_many_streams),
            ("handshake_limit", |of| of.driver.too_many_handshakes),
            ("no_descriptor", |of| of.driver.no_descriptors),
            ("system", |of| of.driver.accept_failed),
        ],
    },
];
