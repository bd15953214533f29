//! Passwords from the command line and from files. Passwords are never printed, and a file that others can read is
//! rejected.

use core::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A text with a password. `Debug` does not print it.
#[derive(Clone)]
pub(crate) struct Secret(Box<str>);

impl Secret {
    /// Accepts any text. Errors in it are reported later, without the text.
    #[expect(clippy::unnecessary_wraps, reason = "the parser of an argument can fail")]
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        Ok(Self(text.into()))
    }

    /// Returns the lines that are neither empty nor comments, each as a secret.
    pub(crate) fn lines(&self) -> Vec<Self> {
        let lines = self.0.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| Self(line.into())).collect()
    }

    /// Returns the text.
    pub(crate) const fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a password file is rejected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("the passwords in {} cannot be read: {why}", .file.display())]
    Unreadable { file: PathBuf, why: io::Error },
    #[error("{} holds passwords, and other users can read or change it (mode {mode:o}); run: chmod 600 {}", .file.display(), .file.display())]
    Exposed { file: PathBuf, mode: u32 },
    #[error("{} is longer than {} bytes; is it a file of passwords?", .0.display(), LONGEST)]
    TooLong(PathBuf),
}

/// The longest password file, in bytes. No table of users is near this bound.
const LONGEST: u64 = 64 << 20;

/// Reads a file that only its owner, and perhaps its group, can read.
pub(crate) fn read(path: &Path) -> Result<Secret, SecretError> {
    let unreadable = |why| SecretError::Unreadable { file: path.into(), why };
    let file = File::open(path).map_err(unreadable)?;
    // Queries the open file, not the path: the path may name another file by now.
    let metadata = file.metadata().map_err(unreadable)?;
    if let Some(mode) = exposed(&metadata) {
        return Err(SecretError::Exposed { file: path.into(), mode });
    }
    let mut text = String::new();
    let read = file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(read).is_ok_and(|read| read > LONGEST) {
        return Err(SecretError::TooLong(path.into()));
    }
    Ok(Secret(text.into()))
}

/// Returns the permissions if others can read the file, or if its group or others can change it.
///
/// The check skips pipes, because the process that passed the pipe controls its readers.
#[cfg(unix)]
pub(crate) fn exposed(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    (metadata.is_file() && mode & 0o027 != 0).then_some(mode)
}

#[cfg(not(unix))]
pub(crate) fn exposed(_: &Metadata) -> Option<u32> {
    None
}
