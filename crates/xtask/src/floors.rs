//! `cargo xtask floors`: the manifests against the table in `docs/architecture.md`.
//!
//! The table is read from the page itself, so that the page and the check cannot drift apart. [`house`] reads what is
//! there, [`table`] what ought to be; everything here is pure and compares the two.

mod house;
mod table;
#[cfg(test)]
mod tests;

use crate::{Findings, read};
use house::{Crate, Dependency, House, Kind};
use std::path::Path;
pub(crate) use table::{Needs, Row, Table, cells, code};

/// Free to every crate that may import `machine`.
const FREE: [&str; 2] = ["bytes", "thiserror"];

/// The gardens that any crate may test with.
const GARDENS: [&str; 2] = ["sim", "strategies"];

pub(crate) fn run(root: &Path) -> Findings {
    let table = read_table(root).map_err(|fault| vec![fault])?;
    let house = House::read(root).map_err(|fault| vec![fault])?;
    let faults = check(&table, &house);
    if faults.is_empty() {
        Ok(format!("floors: {} crates import what docs/architecture.md allows, and nothing else", house.crates.len()))
    } else {
        Err(faults)
    }
}

pub(crate) fn read_table(root: &Path) -> Result<Table, String> {
    let page = root.join("docs/architecture.md");
    Table::read(&read(&page)?).map_err(|fault| format!("docs/architecture.md: {fault}"))
}

fn check(table: &Table, house: &House) -> Vec<String> {
    let mut faults = Vec::new();
    for row in &table.rows {
        contradictions(row, &mut faults);
        let built = house.crates.iter().any(|its| its.folder == row.folder);
        match (row.built, built) {
            (true, false) => faults.push(format!("`{}` is marked built, and crates/{0} is not there", row.folder)),
            (false, true) => faults.push(format!("`{}` is marked planned, and crates/{0} is there", row.folder)),
            (true, true) | (false, false) => {}
        }
    }
    for its in &house.crates {
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
        fault(format!("the package is `{}`, the table says `{}`", its.package, row.package));
    }
    for dependency in &its.dependencies {
        match dependency.kind {
            Kind::Normal => {
                if !may_import(table, row, dependency) {
                    fault(format!("imports `{}`, which its row does not allow", dependency.package));
                }
                let ours = table.rows.iter().any(|row| row.package == dependency.package);
                if row.needs != Needs::Std && !ours && dependency.default_features {
                    fault(format!("takes `{}` with its default features, below the line", dependency.package));
                }
            }
            Kind::Development => {
                if is_garden(table, &dependency.package) && dependency.versioned {
                    fault(format!(
                        "takes `{}` to test with by a version; a bare `path` is asked for, or publishing has a cycle",
                        dependency.package
                    ));
                }
            }
        }
    }
    for name in &row.never {
        for beneath in its.beneath.iter().filter(|beneath| table.names(name, beneath)) {
            fault(format!("has `{beneath}` beneath it, which its row forbids"));
        }
    }
    for garden in GARDENS.iter().filter_map(|garden| table.rows.iter().find(|row| row.folder == *garden)) {
        let mut kinds = its.dependencies.iter().filter(|its| its.package == garden.package).map(|its| its.kind);
        // With a normal dependency beside it there is only one copy.
        if kinds.clone().count() > 0 && kinds.all(|kind| kind == Kind::Development) && its.sources_name(&garden.package)
        {
            fault(format!("names `{}` inside src/; it belongs in tests/it", garden.package));
        }
    }
    if row.needs != Needs::Std {
        below_the_line(row, its, &mut fault);
    }
}

/// Whether the row's *May import* holds the dependency.
fn may_import(table: &Table, row: &Row, dependency: &Dependency) -> bool {
    let free = FREE.contains(&dependency.package.as_str()) && row.may.iter().any(|name| name == "machine");
    free || row.may.iter().any(|name| name == "*" || table.names(name, &dependency.package))
}

fn is_garden(table: &Table, package: &str) -> bool {
    table.rows.iter().any(|row| row.package == package && GARDENS.contains(&row.folder.as_str()))
}

fn below_the_line(row: &Row, its: &Crate, fault: &mut impl FnMut(String)) {
    for attribute in ["#![no_std]", "#![forbid(unsafe_code)]"] {
        if !its.root.lines().any(|line| line == attribute) {
            fault(format!("src/lib.rs does not say `{attribute}`"));
        }
    }
    let allocates = its.root.lines().any(|line| line.trim() == "extern crate alloc;");
    if row.needs == Needs::Core && allocates {
        fault("needs `core` alone, and src/lib.rs asks for `alloc`".into());
    }
    for feature in its.features.iter().filter(|feature| !row.may.contains(feature)) {
        fault(format!("has a feature `{feature}`; below the line there are none"));
    }
}
