//! Two connections behind every pair of presets.

use crate::pair::{Pair, Setup, Side};
use core::time::Duration;
use portolan_sim::{Preset, Topology};

const PRESETS: [Preset; 8] = [
    Preset::Open,
    Preset::Home,
    Preset::Cgnat,
    Preset::Symmetric,
    Preset::FullCone,
    Preset::Restricted,
    Preset::Firewall,
    Preset::Blocked,
];

#[test]
fn every_pair_of_presets_connects_as_its_nats_allow() {
    for left in PRESETS {
        for right in PRESETS {
            let topologies = [left, right].map(|preset| Topology::preset(preset).rtt(Duration::from_millis(40)));
            let mut pair = Pair::new(1, &topologies[0], &topologies[1], &Setup::default());
            pair.start();
            pair.run_until(Duration::from_secs(20), Pair::is_selected);
            let paths = Side::BOTH.map(|side| pair.selected(side).map(|path| path.to_string()));
            std::println!("{left:?} {right:?} {} ms {paths:?}", pair.millis());
        }
    }
}
