//! Each seeded fault is found and named.

use super::workspace::{Crate, Dependency, Kind, Workspace};
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
        reachable: dependencies.iter().map(|dependency| dependency.package.clone()).collect(),
        dependencies,
        features: Vec::new(),
        root: "#![no_std]\n#![forbid(unsafe_code)]\n".into(),
        sources: Vec::new(),
    }
}

fn correct() -> Workspace {
    Workspace {
        crates: vec![
            named("machine", vec![normal("bytes")]),
            named("stun", vec![normal("thiserror"), normal("sha1")]),
            named("nat", vec![normal("portolan-machine"), normal("portolan-stun"), normal("bytes")]),
            named("sim", vec![normal("portolan-machine"), normal("portolan-nat")]),
            named("cli", vec![normal("portolan-nat"), normal("clap")]),
        ],
    }
}

/// Returns the faults after one change to a correct workspace.
fn seeded(change: impl FnOnce(&mut Workspace)) -> Vec<String> {
    let mut workspace = correct();
    change(&mut workspace);
    check(&Table::read(PAGE).unwrap(), &workspace)
}

fn at<'a>(workspace: &'a mut Workspace, folder: &str) -> &'a mut Crate {
    workspace.crates.iter_mut().find(|its| its.folder == folder).unwrap()
}

#[test]
fn a_correct_workspace_has_no_faults() {
    assert_eq!(seeded(|_| {}), Vec::<String>::new());
}

#[test]
fn an_import_that_the_row_does_not_allow_is_found() {
    let faults = seeded(|workspace| at(workspace, "stun").dependencies.push(normal("bytes")));
    assert_eq!(faults, ["crates/stun: imports `bytes`, which its row does not allow"]);
    let faults = seeded(|workspace| at(workspace, "machine").dependencies.push(normal("portolan-stun")));
    assert_eq!(faults, ["crates/machine: imports `portolan-stun`, which its row does not allow"]);
}

#[test]
fn a_forbidden_indirect_dependency_is_found() {
    let faults = seeded(|workspace| at(workspace, "cli").reachable.extend(["proptest".to_string()]));
    assert_eq!(faults, ["crates/cli: depends on `proptest`, directly or indirectly, which its row forbids"]);
    let faults = seeded(|workspace| at(workspace, "stun").reachable.extend(["portolan-machine".to_string()]));
    assert_eq!(faults, ["crates/stun: depends on `portolan-machine`, directly or indirectly, which its row forbids"]);
}

#[test]
fn default_features_of_a_dependency_without_std_are_found() {
    let faults = seeded(|workspace| {
        at(workspace, "stun").dependencies[1].default_features = true;
        at(workspace, "cli").dependencies[1].default_features = true;
    });
    assert_eq!(faults, ["crates/stun: uses the default features of `sha1`, but needs no std"]);
}

#[test]
fn a_test_crate_with_a_version_is_found() {
    let test_crate = |versioned| Dependency { kind: Kind::Development, versioned, ..normal("portolan-sim") };
    assert_eq!(seeded(|workspace| at(workspace, "nat").dependencies.push(test_crate(false))), Vec::<String>::new());
    let faults = seeded(|workspace| at(workspace, "nat").dependencies.push(test_crate(true)));
    assert_eq!(
        faults,
        ["crates/nat: has the development dependency `portolan-sim` with a version; only a `path` avoids a cycle at \
          publishing"]
    );
}

#[test]
fn a_test_crate_used_in_src_is_found() {
    let with_source = |source: &str| {
        seeded(|workspace| {
            let nat = at(workspace, "nat");
            nat.dependencies.push(Dependency { kind: Kind::Development, versioned: false, ..normal("portolan-sim") });
            nat.sources.push(source.into());
        })
    };
    assert_eq!(with_source("//! See `portolan_sim`.\n"), Vec::<String>::new());
    let faults = with_source("    use portolan_sim::laws;\n");
    assert_eq!(faults, ["crates/nat: uses `portolan-sim` in src/; only tests/it may use it"]);
}

#[test]
fn missing_attributes_and_alloc_in_lib_rs_are_found() {
    let faults = seeded(|workspace| at(workspace, "sim").root = "#![no_std]\n".into());
    assert_eq!(faults, ["crates/sim: src/lib.rs does not contain `#![forbid(unsafe_code)]`"]);
    let faults = seeded(|workspace| at(workspace, "nat").root = "#![forbid(unsafe_code)]\n".into());
    assert_eq!(faults, ["crates/nat: src/lib.rs does not contain `#![no_std]`"]);
    let faults = seeded(|workspace| at(workspace, "stun").root.push_str("extern crate alloc;\n"));
    assert_eq!(faults, ["crates/stun: needs only `core`, but src/lib.rs uses `alloc`"]);
}

#[test]
fn a_feature_without_permission_is_found() {
    let faults = seeded(|workspace| at(workspace, "nat").features = vec!["words".into(), "std".into()]);
    assert_eq!(faults, ["crates/nat: has a feature `std`, which its row does not allow"]);
}

#[test]
fn a_difference_between_crates_and_rows_is_found() {
    let faults = seeded(|workspace| workspace.crates.push(named("turn", Vec::new())));
    assert_eq!(faults, ["`turn` is marked planned, but crates/turn exists"]);
    let faults = seeded(|workspace| workspace.crates.retain(|its| its.folder != "sim"));
    assert_eq!(faults, ["`sim` is marked built, but crates/sim does not exist"]);
    let faults = seeded(|workspace| workspace.crates.push(named("common", Vec::new())));
    assert_eq!(faults, ["crates/common has no row in the table"]);
    let faults = seeded(|workspace| at(workspace, "nat").package = "nat".into());
    assert_eq!(faults, ["crates/nat: the package is `nat`, but the table names `portolan-nat`"]);
}

#[test]
fn an_error_in_the_table_names_the_line() {
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
    let faults = check(&Table::read(&page).unwrap(), &correct());
    assert_eq!(
        faults,
        [
            "the row of `stun` both allows and forbids `sha1`",
            "crates/stun: depends on `sha1`, directly or indirectly, which its row forbids"
        ]
    );
}

/// The real manifests do not match the real table after one word is removed from the table.
#[test]
fn a_word_missing_in_the_real_table_is_found() {
    let root = crate::root();
    let page = crate::read(&root.join("docs/architecture.md")).unwrap();
    let row = page.lines().find(|line| line.starts_with("| `nat` |")).unwrap();
    let wrong = page.replace(row, &row.replace("`stun-agent`", "nothing"));
    let faults = check(&Table::read(&wrong).unwrap(), &Workspace::read(&root).unwrap());
    let fault = "crates/nat: imports `portolan-stun-agent`, which its row does not allow".to_string();
    assert!(faults.contains(&fault), "{faults:?}");
}
