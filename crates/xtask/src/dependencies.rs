//! `cargo xtask layers`: compares the dependencies of the crates with the table in `docs/architecture.md`.
//!
//! The check reads the table from the page, so that the page and the check cannot differ. [`workspace`] reads the
//! manifests, [`table`] reads the rules, and this module compares them without I/O.

mod table;
#[cfg(test)]
mod tests;
mod workspace;

use crate::{Findings, read};
use std::path::Path;
pub(crate) use table::{Needs, Row, Table, cells, code};
use workspace::{Crate, Dependency, Kind, Workspace};

/// Packages that every crate that may import `machine` may import too.
const FREE: [&str; 2] = ["bytes", "thiserror"];

/// The test crates: any crate may use them as development dependencies.
const TEST_CRATES: [&str; 2] = ["sim", "strategies"];

pub(crate) fn run(root: &Path) -> Findings {
    let table = read_table(root).map_err(|fault| vec![fault])?;
    let workspace = Workspace::read(root).map_err(|fault| vec![fault])?;
    let faults = check(&table, &workspace);
    if faults.is_empty() {
        Ok(format!("layers: {} crates have only dependencies that docs/architecture.md allows", workspace.crates.len()))
    } else {
        Err(faults)
    }
}

pub(crate) fn read_table(root: &Path) -> Result<Table, String> {
    let page = root.join("docs/architecture.md");
    Table::read(&read(&page)?).map_err(|fault| format!("docs/architecture.md: {fault}"))
}

fn check(table: &Table, workspace: &Workspace) -> Vec<String> {
    let mut faults = Vec::new();
    for row in &table.rows {
        contradictions(row, &mut faults);
        let built = workspace.crates.iter().any(|its| its.folder == row.folder);
        match (row.built, built) {
            (true, false) => faults.push(format!("`{}` is marked built, but crates/{0} does not exist", row.folder)),
            (false, true) => faults.push(format!("`{}` is marked planned, but crates/{0} exists", row.folder)),
            (true, true) | (false, false) => {}
        }
    }
    for its in &workspace.crates {
        match table.rows.iter().find(|row| row.folder == its.folder) {
            Some(row) => check_crate(table, row, its, &mut faults),
            None => faults.push(format!("crates/{} has no row in the table", its.folder)),
        }
    }
    faults
}

fn contradictions(row: &Row, faults: &mut Vec<String>) {
    for name in row.may.iter().filter(|name| row.never.contains(name)) {
        faults.push(format!("the row of `{}` both allows and forbids `{name}`", row.folder));
    }
}

fn check_crate(table: &Table, row: &Row, its: &Crate, faults: &mut Vec<String>) {
    let mut fault = |what: String| faults.push(format!("crates/{}: {what}", its.folder));
    if its.package != row.package {
        fault(format!("the package is `{}`, but the table names `{}`", its.package, row.package));
    }
    for dependency in &its.dependencies {
        match dependency.kind {
            Kind::Normal => {
                if !may_import(table, row, dependency) {
                    fault(format!("imports `{}`, which its row does not allow", dependency.package));
                }
                let ours = table.rows.iter().any(|row| row.package == dependency.package);
                if row.needs != Needs::Std && !ours && dependency.default_features {
                    fault(format!("uses the default features of `{}`, but needs no std", dependency.package));
                }
            }
            Kind::Development => {
                if is_test_crate(table, &dependency.package) && dependency.versioned {
                    fault(format!(
                        "has the development dependency `{}` with a version; only a `path` avoids a cycle at publishing",
                        dependency.package
                    ));
                }
            }
        }
    }
    for name in &row.never {
        for reachable in its.reachable.iter().filter(|reachable| table.names(name, reachable)) {
            fault(format!("depends on `{reachable}`, directly or indirectly, which its row forbids"));
        }
    }
    for test_crate in
        TEST_CRATES.iter().filter_map(|test_crate| table.rows.iter().find(|row| row.folder == *test_crate))
    {
        let mut kinds = its.dependencies.iter().filter(|its| its.package == test_crate.package).map(|its| its.kind);
        // With a normal dependency on the test crate, src/ may name it.
        if kinds.clone().count() > 0
            && kinds.all(|kind| kind == Kind::Development)
            && its.sources_name(&test_crate.package)
        {
            fault(format!("uses `{}` in src/; only tests/it may use it", test_crate.package));
        }
    }
    if row.needs != Needs::Std {
        check_without_std(row, its, &mut fault);
    }
}

/// Whether the row's *May import* contains the dependency.
fn may_import(table: &Table, row: &Row, dependency: &Dependency) -> bool {
    let free = FREE.contains(&dependency.package.as_str()) && row.may.iter().any(|name| name == "machine");
    free || row.may.iter().any(|name| name == "*" || table.names(name, &dependency.package))
}

fn is_test_crate(table: &Table, package: &str) -> bool {
    table.rows.iter().any(|row| row.package == package && TEST_CRATES.contains(&row.folder.as_str()))
}

fn check_without_std(row: &Row, its: &Crate, fault: &mut impl FnMut(String)) {
    for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        if !its.root.lines().any(|line| line == attribute) {
            fault(format!("src/lib.rs does not contain `{attribute}`"));
        }
    }
    let allocates = its.root.lines().any(|line| line.trim() == "extern crate alloc;");
    if row.needs == Needs::Core && allocates {
        fault("needs only `core`, but src/lib.rs uses `alloc`".into());
    }
    for feature in its.features.iter().filter(|feature| !row.may.contains(feature)) {
        fault(format!("has a feature `{feature}`, which its row does not allow"));
    }
}
