//! `cargo xtask no-std`: builds and runs the proofs in `proofs/`, and checks that seeded faults break the build.
//!
//! The command works in a copy of the crates under `target/no-std/`, so that it can add faults to the sources.
//!
//! 1. It builds both proofs, links each into a program without libc, and runs the program.
//! 2. It adds a clock from `std` to each crate that a proof names, one crate at a time, and builds a proof of this crate
//!    alone. The build must fail because the standard library brings a second panic handler.
//! 3. It adds an allocation to each crate that needs `core` alone. The build must fail because `alloc` needs an
//!    allocator.
//!
//! A proof of one crate has the runtime of the whole proof, and one dependency. So a fault does not build the crates above
//! the faulty one again.

use crate::dependencies::{Needs, Table, read_table};
use crate::{Findings, files, read};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The fault for a `core` or `alloc` crate: a clock from the standard library.
const CLOCK: &str = "
extern crate std;
/// Seeded fault.
#[must_use]
pub fn seeded() -> std::time::Instant {
    std::time::Instant::now()
}
";

/// The fault for a `core` crate: an allocation.
const ALLOCATION: &str = "
extern crate alloc;
/// Seeded fault.
#[must_use]
pub fn seeded(bytes: &[u8]) -> alloc::vec::Vec<u8> {
    bytes.to_vec()
}
";

/// The compiler's error for a library that has a panic handler and depends on `std`.
const SECOND_HANDLER: &str = "found duplicate lang item `panic_impl`";

/// The compiler's error for a library that has no allocator and depends on `alloc`.
const NO_ALLOCATOR: &str = "no global memory allocator found";

struct Proof {
    name: &'static str,
    /// The crates that the proof must name as dependencies.
    crates: Vec<String>,
}

pub(crate) fn run(root: &Path) -> Findings {
    let table = read_table(root).map_err(|fault| vec![fault])?;
    let copy = WorkingCopy::create(root).map_err(|fault| vec![fault])?;
    let mut faults = Vec::new();
    let mut done = Vec::new();
    for proof in proofs(&table) {
        match copy.prove(&proof) {
            Ok(()) => done.push(format!("{} built, linked and ran ({})", proof.name, proof.crates.join(", "))),
            Err(fault) => {
                faults.push(format!("{}: {fault}", proof.name));
                continue;
            }
        }
        // From the highest layer down: a crate that is restored is no part of the next proof.
        for its in proof.crates.iter().rev() {
            match copy.check_fault(&proof, its, CLOCK, SECOND_HANDLER) {
                Ok(()) => done.push(format!("{} does not build with a clock from std in `{its}`", proof.name)),
                Err(fault) => faults.push(format!("{}: a clock from std in `{its}` {fault}", proof.name)),
            }
            if proof.name != "no-std-core" {
                continue;
            }
            match copy.check_fault(&proof, its, ALLOCATION, NO_ALLOCATOR) {
                Ok(()) => done.push(format!("{} does not build with an allocation in `{its}`", proof.name)),
                Err(fault) => faults.push(format!("{}: an allocation in `{its}` {fault}", proof.name)),
            }
        }
    }
    if faults.is_empty() { Ok(format!("no-std: {}", done.join("\nno-std: "))) } else { Err(faults) }
}

/// Both proofs, with the crates that need `core` or `alloc` according to the table.
fn proofs(table: &Table) -> [Proof; 2] {
    let built = |wanted: &[Needs]| {
        let rows = table.rows.iter().filter(|row| row.built && wanted.contains(&row.needs));
        rows.map(|row| row.folder.clone()).collect()
    };
    [
        Proof { name: "no-std-core", crates: built(&[Needs::Core]) },
        Proof { name: "no-std-alloc", crates: built(&[Needs::Core, Needs::Alloc]) },
    ]
}

/// A copy of the crates, to which faults can be added.
struct WorkingCopy {
    root: PathBuf,
}

impl WorkingCopy {
    /// Copies the sources of the crates and proofs. Each proof gets a copy of the workspace's `Cargo.lock`.
    fn create(root: &Path) -> Result<Self, String> {
        let copy = Self { root: root.join("target/no-std") };
        for name in ["crates", "proofs"] {
            for extension in ["rs", "toml"] {
                for file in files(&root.join(name), extension) {
                    let inside = file.strip_prefix(root).unwrap_or(&file);
                    write_if_changed(&copy.root.join(inside), &read(&file)?)?;
                }
                for file in files(&copy.root.join(name), extension) {
                    let inside = file.strip_prefix(&copy.root).unwrap_or(&file);
                    if !root.join(inside).exists() {
                        std::fs::remove_file(&file).map_err(|why| format!("{}: {why}", file.display()))?;
                    }
                }
            }
        }
        write_if_changed(&copy.root.join("Cargo.toml"), &read(&root.join("Cargo.toml"))?)?;
        let lock = read(&root.join("Cargo.lock"))?;
        for proof in ["no-std-core", "no-std-alloc"] {
            write_if_changed(&copy.root.join("proofs").join(proof).join("Cargo.lock"), &lock)?;
        }
        Ok(copy)
    }

    /// Checks that a proof names exactly the required crates, and builds, links and runs it.
    fn prove(&self, proof: &Proof) -> Result<(), String> {
        let manifest = read(&self.root.join("proofs").join(proof.name).join("Cargo.toml"))?;
        same_crates(&manifest, &proof.crates)?;
        self.uses_crates(proof)?;
        self.cargo("build", proof.name, proof.name).map_err(|text| format!("does not build:\n{text}"))?;
        let target = self.root.join("target").join(proof.name);
        let program = target.join("proof");
        let arguments =
            ["-nostdlib", "-nostartfiles", "-static", "-no-pie", "-Wl,--gc-sections", "-Wl,-e,_start", "-o"];
        let linker = Command::new("cc")
            .args(arguments)
            .args([program.as_os_str(), target.join("release/libproof.a").as_os_str()])
            .output()
            .map_err(|why| format!("`cc` cannot be run: {why}"))?;
        if !linker.status.success() {
            return Err(format!("does not link without libc:\n{}", String::from_utf8_lossy(&linker.stderr)));
        }
        let status = Command::new(&program).env_clear().status().map_err(|why| format!("cannot be run: {why}"))?;
        if status.success() { Ok(()) } else { Err(format!("ran, and ended with {status}")) }
    }

    /// Checks that the code of a proof uses each of its crates: one that it only names is neither built in nor proved.
    fn uses_crates(&self, proof: &Proof) -> Result<(), String> {
        let sources = files(&self.root.join("proofs").join(proof.name), "rs");
        let code: String = sources.iter().map(|file| read(file)).collect::<Result<_, _>>()?;
        let is_unused = |folder: &&String| !code.contains(&format!("{}::", library(folder)));
        match proof.crates.iter().find(is_unused) {
            Some(unused) => Err(format!("does not use `{unused}`, which its manifest names")),
            None => Ok(()),
        }
    }

    /// Checks that a proof of one crate does not build, for this `reason`, after `fault` is added to the crate.
    fn check_fault(&self, proof: &Proof, folder: &str, fault: &str, reason: &str) -> Result<(), String> {
        let file = self.root.join("crates").join(folder).join("src/lib.rs");
        let original = read(&file)?;
        let single = self.write_single_proof(proof, folder)?;
        write_if_changed(&file, &format!("{original}{fault}"))?;
        let built = self.cargo("check", single, "single");
        write_if_changed(&file, &original)?;
        match built {
            Ok(()) => Err("did not break the build".into()),
            Err(text) if text.contains(reason) => Ok(()),
            Err(text) => Err(format!("broke the build with another error than `{reason}`:\n{text}")),
        }
    }

    /// Writes a proof of one crate, with the runtime of this proof. Returns its folder.
    fn write_single_proof(&self, proof: &Proof, folder: &str) -> Result<&'static str, String> {
        const SINGLE: &str = "single";
        let its = self.root.join("proofs").join(SINGLE);
        let manifest = read(&self.root.join("proofs").join(proof.name).join("Cargo.toml"))?;
        let others = |line: &&str| !line.starts_with("portolan-") || line.starts_with(&format!("portolan-{folder} ="));
        let manifest: Vec<&str> = manifest.lines().filter(others).collect();
        write_if_changed(&its.join("Cargo.toml"), &manifest.join("\n"))?;
        let heap =
            if proof.name == "no-std-core" { "" } else { "#[path = \"../../no-std-alloc/src/heap.rs\"] mod heap;" };
        let library = library(folder);
        let root = format!(
            "#![no_std]\n#![no_builtins]\nextern crate {library};\n#[path = \"../../bare.rs\"] mod bare;\n{heap}\n\
             fn prove() -> u8 {{ 0 }}\n"
        );
        write_if_changed(&its.join("src/lib.rs"), &root)?;
        write_if_changed(
            &its.join("Cargo.lock"),
            &read(&self.root.join("proofs").join(proof.name).join("Cargo.lock"))?,
        )?;
        Ok(SINGLE)
    }

    /// Runs cargo on the proof in this folder. An error is cargo's output.
    fn cargo(&self, verb: &str, folder: &str, target: &str) -> Result<(), String> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsStr::new("cargo").into());
        let output = Command::new(cargo)
            .args([verb, "--quiet", "--release", "--manifest-path"])
            .arg(self.root.join("proofs").join(folder).join("Cargo.toml"))
            .arg("--target-dir")
            .arg(self.root.join("target").join(target))
            .output()
            .map_err(|why| format!("cargo cannot be run: {why}"))?;
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}

/// The name of the library of a crate.
fn library(folder: &str) -> String {
    format!("portolan_{}", folder.replace('-', "_"))
}

/// Writes a file unless it has this text already, because cargo rebuilds files with a new modification time.
pub(crate) fn write_if_changed(path: &Path, text: &str) -> Result<(), String> {
    if std::fs::read_to_string(path).is_ok_and(|its| its == text) {
        return Ok(());
    }
    let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    folder.and_then(|()| std::fs::write(path, text)).map_err(|why| format!("{}: {why}", path.display()))
}

/// Checks that a proof's manifest names these crates of the workspace and no other.
fn same_crates(manifest: &str, wanted: &[String]) -> Result<(), String> {
    let lines = manifest.lines().filter_map(|line| line.strip_prefix("portolan-"));
    let named: Vec<&str> = lines.filter_map(|line| line.split_once(" =").map(|(name, _)| name)).collect();
    if let Some(missing) = wanted.iter().find(|folder| !named.contains(&folder.as_str())) {
        return Err(format!("does not name `{missing}`, which the table requires"));
    }
    match named.iter().find(|folder| !wanted.iter().any(|its| its == *folder)) {
        Some(extra) => Err(format!("names `{extra}`, which the table does not allow")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::same_crates;

    #[test]
    fn a_proof_that_leaves_a_crate_out_is_found() {
        let manifest = "[dependencies]\nportolan-stun = { path = \"x\" }\n";
        let crates = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(same_crates(manifest, &crates(&["stun"])), Ok(()));
        let left_out = same_crates(manifest, &crates(&["stun", "nat"])).unwrap_err();
        assert_eq!(left_out, "does not name `nat`, which the table requires");
        let too_many = same_crates(manifest, &crates(&[])).unwrap_err();
        assert_eq!(too_many, "names `stun`, which the table does not allow");
    }
}
