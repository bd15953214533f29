//! The corpora of the fuzzer.
//!
//! * `seeds write TARGET FOLDER [COLLECTION]` writes the first corpus, with parts of the descriptions of the
//!   collection. It removes refused inputs of a grown corpus until at most half of the corpus is refused.
//! * `seeds share TARGET FOLDER…` prints how many inputs of the folders the target accepts.

use portolan_fuzz::{seeds, targets};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["write", target, folder] => write(target, Path::new(folder), None),
        ["write", target, folder, collection] => write(target, Path::new(folder), Some(Path::new(collection))),
        ["share", target, folders @ ..] => share(target, folders),
        _ => {
            eprintln!("usage: seeds write TARGET FOLDER [COLLECTION] | seeds share TARGET FOLDER…");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(target: &str, folder: &Path, collection: Option<&Path>) -> io::Result<String> {
    let mut seeds = seeds::of(target);
    let mut collected = Vec::new();
    for part in collection.map(folders).transpose()?.unwrap_or_default() {
        collected.extend(files(&part)?);
    }
    for file in collected {
        seeds.extend(seeds::collected(target, &fs::read(file)?));
    }
    seeds.sort();
    seeds.dedup();
    fs::create_dir_all(folder)?;
    for (nth, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("{nth:03}")), seed)?;
    }
    remove_refused(target, folder)?;
    Ok(format!("{} seeds", seeds.len()))
}

/// Removes the longest refused inputs of a corpus until at most half of it is refused. Mutations of a refused input
/// are mostly refused too.
fn remove_refused(target: &str, folder: &Path) -> io::Result<()> {
    let run = runner(target)?;
    let (mut refused, mut accepted) = (Vec::new(), 0);
    for file in files(folder)? {
        let bytes = fs::read(&file)?;
        if run(&bytes) {
            accepted += 1;
        } else {
            refused.push((bytes.len(), file));
        }
    }
    // Sorted by length, the shortest inputs stay.
    refused.sort();
    refused.iter().skip(accepted).try_for_each(|(_, file)| fs::remove_file(file))
}

/// Returns the function of a target, which returns whether the target accepted the input.
fn runner(target: &str) -> io::Result<fn(&[u8]) -> bool> {
    let known = targets::ALL.into_iter().find(|(name, _)| *name == target);
    known.map(|(_, run)| run).ok_or_else(|| io::Error::other(format!("no target `{target}`")))
}

fn share(target: &str, folders: &[&str]) -> io::Result<String> {
    let run = runner(target)?;
    let (mut all, mut accepted) = (0_u32, 0_u32);
    for file in folders.iter().map(Path::new).map(files).collect::<io::Result<Vec<_>>>()?.concat() {
        all += 1;
        accepted += u32::from(run(&fs::read(file)?));
    }
    Ok(format!("{accepted} of {all}"))
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().filter(|path| path.is_file()).collect())
}

fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().filter(|path| path.is_dir()).collect())
}
