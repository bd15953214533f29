//! The corpora around the fuzzer: `seeds write TARGET FOLDER [COLLECTION]` makes the first one, for the targets that take
//! descriptions with parts of those in the collection, and where one has grown takes out what would make it one of refusals;
//! `seeds share TARGET FOLDER…` says which part of what lies there gets past the front door.

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
        Ok(said) => {
            println!("{said}");
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
    thin(target, folder)?;
    Ok(format!("{} seeds", seeds.len()))
}

/// Takes out of a corpus what is refused beyond what gets past the front door, the longest first: a run from a corpus of
/// refusals mutates refusals.
fn thin(target: &str, folder: &Path) -> io::Result<()> {
    let run = runner(target)?;
    let (mut refused, mut inside) = (Vec::new(), 0);
    for file in files(folder)? {
        let bytes = fs::read(&file)?;
        if run(&bytes) {
            inside += 1;
        } else {
            refused.push((bytes.len(), file));
        }
    }
    refused.sort();
    refused.iter().skip(inside).try_for_each(|(_, file)| fs::remove_file(file))
}

/// What a target does; it says whether its input got past the front door.
fn runner(target: &str) -> io::Result<fn(&[u8]) -> bool> {
    let known = targets::ALL.into_iter().find(|(name, _)| *name == target);
    known.map(|(_, run)| run).ok_or_else(|| io::Error::other(format!("no target `{target}`")))
}

fn share(target: &str, folders: &[&str]) -> io::Result<String> {
    let run = runner(target)?;
    let (mut all, mut inside) = (0_u32, 0_u32);
    for file in folders.iter().map(Path::new).map(files).collect::<io::Result<Vec<_>>>()?.concat() {
        all += 1;
        inside += u32::from(run(&fs::read(file)?));
    }
    Ok(format!("{inside} of {all}"))
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().filter(|path| path.is_file()).collect())
}

/// The folders in it.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().filter(|path| path.is_dir()).collect())
}
