//! Snapshots of stories: the text is part of the contract of this crate.

use crate::datagrams::host_behind;
use crate::probe::Probe;
use core::time::Duration;
use portolan_machine::Protocol;
use portolan_nat::behavior::{Mapping, PortAllocation};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{EntryKind, HostId, Ledger, Link, Net, PacketFate};
use portolan_stun::ChangeRequest;

fn send_requests(net: &mut Net<Probe>, host: HostId, to: &[&str], change: Option<ChangeRequest>) {
    net.with(host, |probe, cx| {
        let socket = probe.open(cx, Protocol::Udp, "0.0.0.0:50000", Some(to[0]));
        for to in to {
            probe.send_request(cx, socket, to, change);
        }
    });
}

#[test]
fn a_strict_filter_drops_the_answer_from_elsewhere() {
    let (mut net, host, _) = host_behind(TranslatorConfig::home(), &Link::delay(Duration::from_millis(25)), 1);
    net.record_story();
    send_requests(&mut net, host, &["192.0.2.1:3478"], Some(ChangeRequest::IP_AND_PORT));
    let _end = net.run_for(Duration::from_secs(1));
    insta::assert_snapshot!(net.story(), @r"
    0.000s client       open s1 udp 0.0.0.0:50000 towards 192.0.2.1:3478
    0.000s client       s1 opened on 10.0.0.2:50000
    0.000s client       event: s1 opened on 10.0.0.2:50000
    0.000s client       10.0.0.2:50000 → 192.0.2.1:3478 Binding request 01010101… CHANGE-REQUEST ip+port
    0.000s home         new mapping 10.0.0.2:50000 as 203.0.113.7:50000
    0.025s stun         192.0.2.2:3479 → 203.0.113.7:50000 Binding success response 01010101… XOR-MAPPED-ADDRESS 203.0.113.7:50000 MAPPED-ADDRESS 203.0.113.7:50000 RESPONSE-ORIGIN 192.0.2.2:3479 OTHER-ADDRESS 192.0.2.2:3479
    0.050s home         drops 192.0.2.2:3479 → 203.0.113.7:50000: the host has not contacted the source [RFC 4787 §5]
    ");
}

#[test]
fn a_mapping_for_each_destination_and_a_packet_lost() {
    let nat =
        TranslatorConfig::symmetric().mapping(Mapping::AddressDependent).ports(PortAllocation::Sequential { step: 1 });
    let (mut net, host, _) = host_behind(nat, &Link::delay(Duration::from_millis(25)).loss(0.4), 4);
    net.record_story();
    send_requests(&mut net, host, &["192.0.2.1:3478", "192.0.2.2:3478", "192.0.2.2:3479", "198.51.100.9:53"], None);
    let _end = net.run_for(Duration::from_secs(1));
    insta::assert_snapshot!(net.story(), @r"
    0.000s client       open s1 udp 0.0.0.0:50000 towards 192.0.2.1:3478
    0.000s client       s1 opened on 10.0.0.2:50000
    0.000s client       event: s1 opened on 10.0.0.2:50000
    0.000s client       10.0.0.2:50000 → 192.0.2.1:3478 Binding request 01010101…
    0.000s home         new mapping 10.0.0.2:50000 as 203.0.113.7:28429
    0.000s client       10.0.0.2:50000 → 192.0.2.2:3478 Binding request 02020202…
    0.000s home         new mapping 10.0.0.2:50000 as 203.0.113.7:28430
    0.000s client       10.0.0.2:50000 → 192.0.2.2:3479 Binding request 03030303…
    0.000s client       10.0.0.2:50000 → 198.51.100.9:53 Binding request 04040404…
    0.000s home         new mapping 10.0.0.2:50000 as 203.0.113.7:28431
    0.025s stun         192.0.2.1:3478 → 203.0.113.7:28429 Binding success response 01010101… XOR-MAPPED-ADDRESS 203.0.113.7:28429 MAPPED-ADDRESS 203.0.113.7:28429 RESPONSE-ORIGIN 192.0.2.1:3478 OTHER-ADDRESS 192.0.2.2:3479
    0.025s stun         192.0.2.2:3478 → 203.0.113.7:28430 Binding success response 02020202… XOR-MAPPED-ADDRESS 203.0.113.7:28430 MAPPED-ADDRESS 203.0.113.7:28430 RESPONSE-ORIGIN 192.0.2.2:3478 OTHER-ADDRESS 192.0.2.1:3479
    0.025s stun         192.0.2.2:3479 → 203.0.113.7:28430 Binding success response 03030303… XOR-MAPPED-ADDRESS 203.0.113.7:28430 MAPPED-ADDRESS 203.0.113.7:28430 RESPONSE-ORIGIN 192.0.2.2:3479 OTHER-ADDRESS 192.0.2.1:3478
    0.025s home         loses 192.0.2.2:3479 → 203.0.113.7:28430
    0.050s client       receives 192.0.2.1:3478 → 10.0.0.2:50000 Binding success response 01010101…
    0.050s client       event: 68 bytes from 192.0.2.1:3478
    0.050s client       receives 192.0.2.2:3478 → 10.0.0.2:50000 Binding success response 02020202…
    0.050s client       event: 68 bytes from 192.0.2.2:3478
    0.050s client       s1 198.51.100.9:53 unreachable: no route to the network
    0.050s client       event: s1 198.51.100.9:53 unreachable: no route to the network
    ");
}

/// Counts the entries of packets by fate.
fn count_entries(net: &Net<Probe>) -> Ledger {
    let mut counts = Ledger::default();
    for entry in net.story_entries() {
        let EntryKind::Packet(packet) = &entry.what else { continue };
        match packet.fate {
            PacketFate::Sent => counts.sent += 1,
            PacketFate::Doubled => counts.doubled += 1,
            PacketFate::Delivered => counts.delivered += 1,
            PacketFate::Served => counts.served += 1,
            PacketFate::Lost => counts.lost += 1,
            PacketFate::Dropped { .. } => counts.dropped += 1,
            PacketFate::Stranded(_) => counts.stranded += 1,
            _ => panic!("another fate"),
        }
    }
    counts
}

#[test]
fn each_count_of_the_ledger_has_its_entry() {
    let link = Link::delay(Duration::from_millis(25)).loss(0.2).duplication(0.2);
    let mut all = [0; 7];
    for seed in 0..20 {
        for change in [None, Some(ChangeRequest::IP_AND_PORT)] {
            let (mut net, host, _) = host_behind(TranslatorConfig::home(), &link, seed);
            net.record_story();
            send_requests(&mut net, host, &["192.0.2.1:3478", "192.0.2.1:9", "198.51.100.9:53"], change);
            let _end = net.run_for(Duration::from_secs(1));
            let ledger = net.ledger();
            assert_eq!(count_entries(&net), ledger, "seed {seed}");
            let Ledger { sent, doubled, delivered, served, lost, dropped, stranded } = ledger;
            for (sum, count) in all.iter_mut().zip([sent, doubled, delivered, served, lost, dropped, stranded]) {
                *sum += count;
            }
        }
    }
    assert!(all.iter().all(|sum| *sum > 0), "each kind of end occurs: {all:?}");
}

#[test]
fn a_net_without_a_story_has_no_entries() {
    let (mut net, host, _) = host_behind(TranslatorConfig::home(), &Link::PERFECT, 1);
    send_requests(&mut net, host, &["192.0.2.1:3478"], None);
    let _end = net.run_for(Duration::from_secs(1));
    assert!(net.ledger().sent > 0 && net.story_entries().is_empty());
}
