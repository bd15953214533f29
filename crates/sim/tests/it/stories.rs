//! Snapshots of stories: the text is part of the contract of this crate.

use crate::datagrams::host_behind;
use crate::probe::Probe;
use core::time::Duration;
use portolan_machine::Protocol;
use portolan_nat::behavior::{Mapping, PortAllocation};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{HostId, Link, Net};
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
