//! Seeded faults: each is found, in words that name it.

use super::house::{Crate, Dependency, House, Kind};
use super::{Table, check};

const PAGE: &str = "\
# A page

| Crate | State | Needs | May import | May never import |
|---|---|---|---|---|
| `machine` | built | `alloc` | `bytes` | anything else |
| `stun` | built | `core` | `thiserror`, `sha1` | `machine` |
| `nat` | built | `alloc` | `machine`, `stun`, feature `words` | `turn` |
| `turn` | planned | `alloc` | `machine` | `nat` |
| `sim` | built | `alloc` | `machine`, `nat` | `proptest` |
| `cli` (package `portolan`) | built | `std` | `*` | `proptest` |

| Another | table |
|---|---|
";

fn normal(package: &str) -> Dependency {
    Dependency { package: package.into(), kind: Kind::Normal, versioned: true, default_features: false }
}

fn named(folder: &str, dependencies: Vec<Dependency>) -> Crate {
    Crate {
        folder: folder.into(),
        package: if folder == "cli" { "portolan".into() } else { format!("portolan-{folder}") },
        beneath: dependencies.iter().map(|dependency| dependency.package.clone()).collect(),
        dependencies,
        features: Vec::new(),
        root: "#![no_std]\n#![forbid(unsafe_code)]\n".into(),
        sources: Vec::new(),
    }
}

fn sound() -> House {
    House {
        crates: vec![
            named("machine", vec![normal("bytes")]),
            named("stun", vec![normal("thiserror"), normal("sha1")]),
            named("nat", vec![normal("portolan-machine"), normal("portolan-stun"), normal("bytes")]),
            named("sim", vec![normal("portolan-machine"), normal("portolan-nat")]),
            named("cli", vec![normal("portolan-nat"), normal("clap")]),
        ],
    }
}

/// The faults that one change to a sound house brings.
fn seeded(change: impl FnOnce(&mut House)) -> Vec<String> {
    let mut house = sound();
    change(&mut house);
    check(&Table::read(PAGE).unwrap(), &house)
}

fn at<'a>(house: &'a mut House, folder: &str) -> &'a mut Crate {
    house.crates.iter_mut().find(|its| its.folder == folder).unwrap()
}

#[test]
fn a_sound_house_has_no_faults() {
    assert_eq!(seeded(|_| {}), Vec::<String>::new());
}

#[test]
fn an_import_that_the_row_does_not_allow_is_found() {
    let faults = seeded(|house| at(house, "stun").dependencies.push(normal("bytes")));
    assert_eq!(faults, ["crates/stun: imports `bytes`, which its row does not allow"]);
    let faults = seeded(|house| at(house, "machine").dependencies.push(normal("portolan-stun")));
    assert_eq!(faults, ["crates/machine: imports `portolan-stun`, which its row does not allow"]);
}

#[test]
fn a_forbidden_crate_far_beneath_is_found() {
    let faults = seeded(|house| at(house, "cli").beneath.extend(["proptest".to_string()]));
    assert_eq!(faults, ["crates/cli: has `proptest` beneath it, which its row forbids"]);
    let faults = seeded(|house| at(house, "stun").beneath.extend(["portolan-machine".to_string()]));
    assert_eq!(faults, ["crates/stun: has `portolan-machine` beneath it, which its row forbids"]);
}

#[test]
fn default_features_below_the_line_are_found() {
    let faults = seeded(|house| {
        at(house, "stun").dependencies[1].default_features = true;
        at(house, "cli").dependencies[1].default_features = true;
    });
    assert_eq!(faults, ["crates/stun: takes `sha1` with its default features, below the line"]);
}

#[test]
fn a_garden_with_a_version_is_found() {
    let garden = |versioned| Dependency { kind: Kind::Development, versioned, ..normal("portolan-sim") };
    assert_eq!(seeded(|house| at(house, "nat").dependencies.push(garden(false))), Vec::<String>::new());
    let faults = seeded(|house| at(house, "nat").dependencies.push(garden(true)));
    assert_eq!(
        faults,
        [
            "crates/nat: takes `portolan-sim` to test with by a version; a bare `path` is asked for, or publishing has a \
          cycle"
        ]
    );
}

#[test]
fn a_garden_named_in_src_is_found() {
    let with_source = |source: &str| {
        seeded(|house| {
            let nat = at(house, "nat");
            nat.dependencies.push(Dependency { kind: Kind::Development, versioned: false, ..normal("portolan-sim") });
            nat.sources.push(source.into());
        })
    };
    assert_eq!(with_source("//! See `portolan_sim`.\n"), Vec::<String>::new());
    let faults = with_source("    use portolan_sim::laws;\n");
    assert_eq!(faults, ["crates/nat: names `portolan-sim` inside src/; it belongs in tests/it"]);
}

#[test]
fn a_wrong_root_below_the_line_is_found() {
    let faults = seeded(|house| at(house, "sim").root = "#![no_std]\n".into());
    assert_eq!(faults, ["crates/sim: src/lib.rs does not say `#![forbid(unsafe_code)]`"]);
    let faults = seeded(|house| at(house, "nat").root = "#![forbid(unsafe_code)]\n".into());
    assert_eq!(faults, ["crates/nat: src/lib.rs does not say `#![no_std]`"]);
    let faults = seeded(|house| at(house, "stun").root.push_str("extern crate alloc;\n"));
    assert_eq!(faults, ["crates/stun: needs `core` alone, and src/lib.rs asks for `alloc`"]);
}

#[test]
fn a_feature_below_the_line_is_found() {
    let faults = seeded(|house| at(house, "nat").features = vec!["words".into(), "std".into()]);
    assert_eq!(faults, ["crates/nat: has a feature `std`; below the line there are none"]);
}

#[test]
fn crates_and_rows_belong_together() {
    let faults = seeded(|house| house.crates.push(named("turn", Vec::new())));
    assert_eq!(faults, ["`turn` is marked planned, and crates/turn is there"]);
    let faults = seeded(|house| house.crates.retain(|its| its.folder != "sim"));
    assert_eq!(faults, ["`sim` is marked built, and crates/sim is not there"]);
    let faults = seeded(|house| house.crates.push(named("common", Vec::new())));
    assert_eq!(faults, ["crates/common has no row in the table"]);
    let faults = seeded(|house| at(house, "nat").package = "nat".into());
    assert_eq!(faults, ["crates/nat: the package is `nat`, the table says `portolan-nat`"]);
}

#[test]
fn a_table_that_cannot_be_read_says_where() {
    let fault = |from: &str, to: &str| Table::read(&PAGE.replace(from, to)).unwrap_err();
    assert_eq!(
        fault("| Needs |", "| Wants |"),
        "no table with the head `| Crate | State | Needs | May import | May never import |`"
    );
    assert_eq!(fault("| planned |", "| someday |"), "line 8: the state is `built` or `planned`, not `someday`");
    assert_eq!(fault("| `core` |", "| |"), "line 6: a crate needs `core`, `alloc` or `std`, in code type");
    assert_eq!(fault("| `turn` |\n", "| `turn` | |\n"), "line 7: a row has 5 cells, this one has 6");
    assert_eq!(fault("| `turn` | planned", "| `nat` | planned"), "`nat` has two rows");
    assert_eq!(fault("| `machine` | built", "| machine | built"), "line 5: no crate in code type in the first cell");
}

#[test]
fn a_row_that_contradicts_itself_is_found() {
    let page = PAGE.replace("`thiserror`, `sha1` | `machine`", "`thiserror`, `sha1` | `machine`, `sha1`");
    let faults = check(&Table::read(&page).unwrap(), &sound());
    assert_eq!(
        faults,
        [
            "the row of `stun` both allows and forbids `sha1`",
            "crates/stun: has `sha1` beneath it, which its row forbids"
        ]
    );
}

/// The real manifests against the real table with one word taken out of it.
#[test]
fn a_word_missing_in_the_real_table_is_found() {
    let root = crate::root();
    let page = crate::read(&root.join("docs/architecture.md")).unwrap();
    let row = page.lines().find(|line| line.starts_with("| `nat` |")).unwrap();
    let wrong = page.replace(row, &row.replace("`stun-agent`", "nothing"));
    let faults = check(&Table::read(&wrong).unwrap(), &House::read(&root).unwrap());
    let fault = "crates/nat: imports `portolan-stun-agent`, which its row does not allow".to_string();
    assert!(faults.contains(&fault), "{faults:?}");
}
